#include "controlplane/drain/drain_book.h"

#include <algorithm>
#include <utility>

#include "controlplane/model/text.h"

namespace sluice::drain {
namespace {

using model::Cat;

// Drains that have ended are shown for a while.
constexpr size_t kKeptEnded = 100;

absl::Status NoSuchDrain(uint64_t id) {
  return absl::NotFoundError(Cat("there is no drain ", id, "; `sluicectl get drains` lists them"));
}

}  // namespace

void DrainBook::Restore(std::vector<Drain> drains, Time now) {
  const std::lock_guard lock(mutex_);
  for (Drain& drain : drains) {
    next_id_ = std::max(next_id_, drain.id + 1);
    Watched watched{.drain = std::move(drain)};
    if (watched.drain.on_its_way()) Begin(watched, now);
    const uint64_t id = watched.drain.id;
    drains_.insert_or_assign(id, std::move(watched));
  }
  Show();
}

absl::StatusOr<std::vector<Member>> DrainBook::MembersOf(const Order& order) const {
  std::vector<Member> members;
  if (order.scope == Scope::kNode) return members;
  const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
  const auto pool = registry->GetPool(order.pool);
  if (!pool.ok()) return pool.status();
  const auto add = [&](const model::BackendRecord& backend) {
    Member& member = members.emplace_back(Member{order.pool, backend.desired.name, false});
    member.was_draining = backend.lifecycle == model::Lifecycle::kDraining && !IsLeftDraining(member);
  };
  if (order.scope == Scope::kBackend) {
    const auto backend = registry->GetBackend(order.pool, order.backend);
    if (!backend.ok()) return backend.status();
    add(**backend);
    return members;
  }
  for (const model::BackendRecord& backend : (*pool)->backends) add(backend);
  if (members.empty()) {
    return absl::InvalidArgumentError(Cat("pool \"", order.pool, "\" has no backends, so there is nothing to drain"));
  }
  return members;
}

bool DrainBook::IsLeftDraining(const Member& member) const {
  return std::any_of(drains_.begin(), drains_.end(), [&](const auto& entry) {
    const Drain& drain = entry.second.drain;
    return drain.left_draining() && std::any_of(drain.members.begin(), drain.members.end(), [&](const Member& theirs) {
             return SameBackend(theirs, member) && !theirs.was_draining;
           });
  });
}

absl::Status DrainBook::CheckFree(const Order& order, const std::vector<Member>& members) const {
  size_t on_their_way = 0;
  for (const auto& [id, other] : drains_) {
    if (!other.drain.on_its_way()) continue;
    ++on_their_way;
    const bool both_node = order.scope == Scope::kNode && other.drain.order.scope == Scope::kNode;
    const bool common = std::any_of(members.begin(), members.end(), [&](const Member& member) {
      return std::any_of(other.drain.members.begin(), other.drain.members.end(),
                         [&](const Member& theirs) { return SameBackend(member, theirs); });
    });
    if (both_node || common) {
      return absl::AlreadyExistsError(Cat("drain ", id, " of ", other.drain.object(),
                                          " is on its way; wait for it, or `sluicectl undrain id ", id, "` first"));
    }
  }
  if (on_their_way < kMaxOnTheirWay) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      Cat(kMaxOnTheirWay, " drains are on their way; wait for one of them, or drain whole pools"));
}

absl::StatusOr<Drain> DrainBook::Start(const Order& order, std::string_view user, Time now) {
  const std::lock_guard lock(mutex_);
  LetGoOfEnded();
  absl::StatusOr<std::vector<Member>> members = MembersOf(order);
  if (!members.ok()) return members.status();
  if (absl::Status status = CheckFree(order, *members); !status.ok()) return status;
  Watched watched;
  watched.drain.id = next_id_;
  watched.drain.order = order;
  watched.drain.user = std::string(user);
  watched.drain.started_at = now;
  watched.drain.members = *std::move(members);
  Begin(watched, now);
  watched.drain.flows_at_start = watched.drain.flows_left;
  Forget();
  const auto entry = drains_.insert_or_assign(next_id_, std::move(watched)).first;
  const Drain& drain = entry->second.drain;
  // Written first: what is done must not be forgotten. What was written and not done ends at the first look.
  if (absl::Status status = Keep(); !status.ok()) {
    drains_.erase(entry);
    return absl::UnavailableError(
        Cat("the drain cannot be kept, so it was not begun: ", std::string(status.message())));
  }
  if (order.scope != Scope::kNode) {
    const absl::Status status = actions_.SetDrain(drain.members, true, {std::string(user), "StartDrain"});
    if (!status.ok()) {
      drains_.erase(entry);
      Keep().IgnoreError();
      return status;
    }
  }
  ++next_id_;
  Tell(drain, Cat("drain ", drain.id, " began, ", drain.flows_left, " flows"));
  Show();
  return drain;
}

absl::Status DrainBook::Undo(const Drain& drain, std::string_view user, Time now) {
  if (drain.order.scope == Scope::kNode) {
    // All that withdraw it, or undoing one would be without effect.
    if (drain.withdraws()) {
      for (auto& [id, other] : drains_) {
        if (id != drain.id && other.drain.withdraws()) {
          End(other.drain, Phase::kCancelled, Cat("cancelled by ", std::string(user)), now);
        }
      }
      return absl::OkStatus();
    }
  } else if (drain.on_its_way() || drain.left_draining()) {
    std::vector<Member> back = Those(drain, true);
    const bool any = !back.empty();
    std::erase_if(back, [](const Member& member) { return member.was_draining; });
    if (!back.empty()) return actions_.SetDrain(back, false, {std::string(user), "CancelDrain"});
    if (any || drain.on_its_way()) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(Cat("drain ", drain.id, " of ", drain.object(), " has ended (",
                                           std::string(PhaseName(drain.phase)),
                                           ") and left nothing draining, so there is nothing to undo"));
}

absl::StatusOr<Drain> DrainBook::Cancel(uint64_t id, std::string_view user, Time now) {
  const std::lock_guard lock(mutex_);
  const auto found = drains_.find(id);
  if (found == drains_.end()) return NoSuchDrain(id);
  Drain& drain = found->second.drain;
  if (absl::Status status = Undo(drain, user, now); !status.ok()) return status;
  End(drain, Phase::kCancelled, Cat("cancelled by ", std::string(user)), now);
  Keep().IgnoreError();
  Show();
  return drain;
}

absl::StatusOr<Drain> DrainBook::Get(uint64_t id) const {
  const std::lock_guard lock(shown_mutex_);
  const auto found = std::find_if(shown_.begin(), shown_.end(), [&](const Drain& drain) { return drain.id == id; });
  if (found == shown_.end()) return NoSuchDrain(id);
  return *found;
}

std::string DrainBook::WhyWithdrawn() const {
  const std::lock_guard lock(shown_mutex_);
  const auto found = std::find_if(shown_.rbegin(), shown_.rend(), [](const Drain& drain) { return drain.withdraws(); });
  if (found == shown_.rend()) return "";
  return Cat("withdrawn by drain ", found->id, " of ", found->user);
}

std::vector<Drain> DrainBook::List() const {
  const std::lock_guard lock(shown_mutex_);
  return shown_;
}

std::array<uint64_t, kPhases> DrainBook::Ended() const {
  const std::lock_guard lock(shown_mutex_);
  return shown_ended_;
}

void DrainBook::Show() {
  std::vector<Drain> all;
  for (const auto& [id, watched] : drains_) all.push_back(watched.drain);
  const std::lock_guard lock(shown_mutex_);
  shown_ = std::move(all);
  shown_ended_ = ended_;
}

void DrainBook::End(Drain& drain, Phase phase, std::string message, Time now) {
  if (drain.on_its_way()) ++ended_[static_cast<size_t>(phase)];
  drain.phase = phase;
  drain.message = std::move(message);
  drain.ended_at = now;
  drain.bytes_per_s = 0;
  Tell(drain, Cat("drain ", drain.id, " ", std::string(PhaseName(phase)), ": ", drain.message));
}

void DrainBook::Tell(const Drain& drain, std::string_view what) const {
  if (events_ == nullptr) return;
  model::Event event;
  event.kind = model::EventKind::kDrain;
  event.object = drain.object();
  event.message = std::string(what);
  events_->Publish(std::move(event));
}

void DrainBook::Forget() {
  // The newest that withdraws the node says so for all of them.
  uint64_t withdraws = 0;
  for (const auto& [id, watched] : drains_) withdraws = watched.drain.withdraws() ? id : withdraws;
  const auto may_go = [&](const Drain& drain) { return !drain.on_its_way() && drain.id != withdraws; };
  size_t ended = 0;
  for (const auto& [id, watched] : drains_) ended += may_go(watched.drain) ? 1 : 0;
  for (auto it = drains_.begin(); it != drains_.end() && ended > kKeptEnded;) {
    const bool drop = may_go(it->second.drain);
    it = drop ? drains_.erase(it) : std::next(it);
    ended -= drop ? 1 : 0;
  }
}

absl::Status DrainBook::Keep() {
  std::vector<Drain> all;
  for (const auto& [id, watched] : drains_) all.push_back(watched.drain);
  return actions_.Keep(all);
}

}  // namespace sluice::drain
