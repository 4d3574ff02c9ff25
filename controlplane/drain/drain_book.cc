#include "controlplane/drain/drain_book.h"

#include <algorithm>
#include <utility>

#include "controlplane/model/text.h"

namespace sluice::drain {
namespace {

using model::Cat;
using std::chrono::duration_cast;
using std::chrono::seconds;

// Workers take a new state up within a burst; until then a flow may still begin.
constexpr seconds kSettle(1);
// Where connections are not counted, how long nothing may come until they are taken to be over.
constexpr seconds kSilence(10);
// Drains that have ended are shown for a while.
constexpr size_t kKeptEnded = 100;

bool IsDraining(const Drain& drain) { return drain.phase == Phase::kDraining; }

bool Remembers(const model::VipRecord& vip) {
  return vip.desired.tracking == config::ConnectionTracking::kFull && vip.desired.cookies == config::Cookies::kNone;
}

// Whether all connections to backends of the pool are in workers' tables.
bool CountsFlows(const model::Registry& registry, std::string_view pool) {
  return std::all_of(registry.vips->begin(), registry.vips->end(), [&](const model::VipRecord& vip) {
    const model::PoolRecord* own = registry.FindPool(vip.desired.pool);
    const bool uses = vip.desired.pool == pool || (own != nullptr && own->policy.backup == pool);
    return !uses || Remembers(vip);
  });
}

std::string Seconds(std::chrono::system_clock::duration time) {
  return Cat(static_cast<uint64_t>(std::max<int64_t>(0, duration_cast<seconds>(time).count())), " s");
}

}  // namespace

std::string Drain::object() const {
  switch (order.scope) {
    case Scope::kBackend:
      return Cat("backend ", order.pool, "/", order.backend);
    case Scope::kPool:
      return Cat("pool ", order.pool);
    case Scope::kNode:
      break;
  }
  return "node";
}

std::optional<seconds> Drain::EstimatedLeft(Time now) const {
  if (phase != Phase::kDraining || flows_left == 0 || flows_left >= flows_at_start) return std::nullopt;
  const double passed = std::chrono::duration<double>(now - started_at).count();
  const double ended = static_cast<double>(flows_at_start - flows_left);
  return seconds(static_cast<int64_t>(passed * static_cast<double>(flows_left) / ended));
}

void DrainBook::Restore(std::vector<Drain> drains, Time now) {
  const std::lock_guard lock(mutex_);
  for (Drain& drain : drains) {
    next_id_ = std::max(next_id_, drain.id + 1);
    Watched watched{.drain = std::move(drain)};
    if (IsDraining(watched.drain)) {
      if (watched.drain.order.scope == Scope::kNode) {
        End(watched.drain, Phase::kCancelled, "sluiced started anew, which ends the drain of a node", now);
      } else {
        Begin(watched, now);
      }
    }
    const uint64_t id = watched.drain.id;
    drains_.insert_or_assign(id, std::move(watched));
  }
}

absl::StatusOr<std::vector<Member>> DrainBook::MembersOf(const Order& order) const {
  std::vector<Member> members;
  if (order.scope == Scope::kNode) return members;
  const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
  const auto pool = registry->GetPool(order.pool);
  if (!pool.ok()) return pool.status();
  const auto add = [&](const model::BackendRecord& backend) {
    members.push_back({order.pool, backend.desired.name, backend.lifecycle == model::Lifecycle::kDraining});
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

absl::StatusOr<Drain> DrainBook::Start(const Order& order, std::string_view user, Time now) {
  const std::lock_guard lock(mutex_);
  absl::StatusOr<std::vector<Member>> members = MembersOf(order);
  if (!members.ok()) return members.status();
  for (const auto& [id, other] : drains_) {
    if (!IsDraining(other.drain)) continue;
    const bool both_node = order.scope == Scope::kNode && other.drain.order.scope == Scope::kNode;
    const bool common = std::any_of(members->begin(), members->end(), [&](const Member& member) {
      return std::any_of(other.drain.members.begin(), other.drain.members.end(), [&](const Member& theirs) {
        return member.pool == theirs.pool && member.backend == theirs.backend;
      });
    });
    if (both_node || common) {
      return absl::AlreadyExistsError(Cat("drain ", id, " of ", other.drain.object(),
                                          " is on its way; wait for it, or `sluicectl drain cancel ", id, "`"));
    }
  }
  if (order.scope == Scope::kNode) {
    withdrawn_ = true;
    actions_.SetServing(false);
  } else if (absl::Status status = actions_.SetDrain(*members, true, {std::string(user), "StartDrain"}); !status.ok()) {
    return status;
  }
  Watched watched;
  watched.drain.id = next_id_++;
  watched.drain.order = order;
  watched.drain.user = std::string(user);
  watched.drain.started_at = now;
  watched.drain.members = *std::move(members);
  Begin(watched, now);
  watched.drain.flows_at_start = watched.drain.flows_left;
  Drain& drain = drains_.insert_or_assign(watched.drain.id, watched).first->second.drain;
  if (absl::Status status = Keep(); !status.ok())
    drain.message = Cat("does not survive a restart: ", std::string(status.message()));
  Tell(drain, Cat("drain ", drain.id, " began, ", drain.flows_left, " flows"));
  return drain;
}

absl::StatusOr<Drain> DrainBook::Cancel(uint64_t id, std::string_view user, Time now) {
  const std::lock_guard lock(mutex_);
  const auto found = drains_.find(id);
  if (found == drains_.end())
    return absl::NotFoundError(Cat("there is no drain ", id, "; `sluicectl get drains` lists them"));
  Drain& drain = found->second.drain;
  const bool is_node = drain.order.scope == Scope::kNode;
  if (!IsDraining(drain) && !(is_node && withdrawn_)) {
    return absl::FailedPreconditionError(
        Cat("drain ", id, " of ", drain.object(), " has ended already: ", std::string(PhaseName(drain.phase))));
  }
  if (is_node) {
    withdrawn_ = false;
    actions_.SetServing(true);
  } else {
    const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
    std::vector<Member> back;
    for (const Member& member : drain.members) {
      if (!member.was_draining && registry->GetBackend(member.pool, member.backend).ok()) back.push_back(member);
    }
    if (!back.empty()) {
      if (absl::Status status = actions_.SetDrain(back, false, {std::string(user), "CancelDrain"}); !status.ok()) {
        return status;
      }
    }
  }
  End(drain, Phase::kCancelled, Cat("cancelled by ", std::string(user)), now);
  Keep().IgnoreError();
  return drain;
}

absl::StatusOr<Drain> DrainBook::Get(uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = drains_.find(id);
  if (found == drains_.end())
    return absl::NotFoundError(Cat("there is no drain ", id, "; `sluicectl get drains` lists them"));
  return found->second.drain;
}

bool DrainBook::withdrawn() const {
  const std::lock_guard lock(mutex_);
  return withdrawn_;
}

std::vector<Drain> DrainBook::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<Drain> all;
  for (const auto& [id, watched] : drains_) all.push_back(watched.drain);
  return all;
}

void DrainBook::Tick(Time now) {
  const std::lock_guard lock(mutex_);
  bool changed = false;
  for (auto& [id, watched] : drains_) {
    if (IsDraining(watched.drain)) changed = Look(watched, now) || changed;
  }
  if (changed) Keep().IgnoreError();
}

DrainBook::Load DrainBook::LoadOf(const Drain& drain) const {
  Load load;
  const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
  const auto add = [&](const model::BackendRecord& backend) {
    const model::BackendCounts counts = facts_.CountsOf(backend.id) - backend.baseline;
    load.flows += counts.flows_alive;
    load.packets += counts.packets;
    load.bytes += counts.bytes;
  };
  if (drain.order.scope == Scope::kNode) {
    for (const auto& pool : registry->pools) {
      for (const model::BackendRecord& backend : pool->backends) add(backend);
    }
    return load;
  }
  for (const Member& member : drain.members) {
    const auto backend = registry->GetBackend(member.pool, member.backend);
    if (!backend.ok()) continue;
    ++load.there;
    load.undrained = load.undrained || (*backend)->lifecycle != model::Lifecycle::kDraining;
    add(**backend);
  }
  return load;
}

void DrainBook::Begin(Watched& watched, Time now) {
  const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
  Drain& drain = watched.drain;
  drain.counts_flows = std::all_of(drain.members.begin(), drain.members.end(),
                                   [&](const Member& member) { return CountsFlows(*registry, member.pool); });
  const Load load = LoadOf(drain);
  drain.flows_left = load.flows;
  watched.bytes_base = load.bytes - std::min(load.bytes, drain.bytes);
  watched.last_bytes = load.bytes;
  watched.last_packets = load.packets;
  watched.last_look = now;
  watched.last_traffic = now;
}

bool DrainBook::Look(Watched& watched, Time now) {
  Drain& drain = watched.drain;
  const bool is_node = drain.order.scope == Scope::kNode;
  const Load load = LoadOf(drain);
  if (!is_node && load.there == 0) {
    End(drain, Phase::kFinished, "somebody removed what was drained", now);
    return true;
  }
  if (!is_node && load.undrained) {
    End(drain, Phase::kCancelled, "somebody ended the drain", now);
    return true;
  }
  drain.flows_left = load.flows;
  drain.bytes = load.bytes - std::min(load.bytes, watched.bytes_base);
  if (load.packets != watched.last_packets) watched.last_traffic = now;
  watched.last_packets = load.packets;
  if (const auto passed = now - watched.last_look; passed >= seconds(1)) {
    const auto moved = static_cast<double>(load.bytes - std::min(load.bytes, watched.last_bytes));
    drain.bytes_per_s = moved / std::chrono::duration<double>(passed).count();
    watched.last_bytes = load.bytes;
    watched.last_look = now;
  }
  const bool silent = now - watched.last_traffic >= kSilence;
  // A node's flows are other directors' by now, and only forgotten here in time.
  const bool over = is_node ? silent : load.flows == 0 && (drain.counts_flows || silent);
  if (over && now - drain.started_at >= kSettle) return Conclude(watched, Phase::kFinished, now);
  const seconds deadline = drain.order.deadline;
  if (deadline > seconds(0) && now - drain.started_at >= deadline) return Conclude(watched, Phase::kExpired, now);
  return false;
}

bool DrainBook::Conclude(Watched& watched, Phase phase, Time now) {
  Drain& drain = watched.drain;
  const bool is_node = drain.order.scope == Scope::kNode;
  std::string message = phase == Phase::kFinished
                            ? Cat("nothing left after ", Seconds(now - drain.started_at))
                            : Cat("after ", Seconds(now - drain.started_at), " ", drain.flows_left, " flows were left");
  if (drain.order.then == Then::kRemove && is_node) {
    End(drain, phase, message + "; sluiced ends", now);
    actions_.Exit();
    return true;
  }
  if (drain.order.then == Then::kRemove) {
    const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
    std::vector<Member> there;
    for (const Member& member : drain.members) {
      if (registry->GetBackend(member.pool, member.backend).ok()) there.push_back(member);
    }
    const absl::Status status = actions_.Remove(there, {drain.user, "StartDrain"});
    if (absl::IsUnavailable(status)) {
      drain.message = Cat("cannot be removed yet: ", std::string(status.message()));
      return false;  // the next look tries again
    }
    if (!status.ok()) {
      End(drain, Phase::kFailed, Cat(message, "; not removed: ", std::string(status.message())), now);
      return true;
    }
    message += "; removed";
  } else {
    message += is_node ? "; the node stays withdrawn" : "; the drain stays";
  }
  End(drain, phase, std::move(message), now);
  return true;
}

void DrainBook::End(Drain& drain, Phase phase, std::string message, Time now) {
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

absl::Status DrainBook::Keep() {
  size_t ended = 0;
  for (auto it = drains_.rbegin(); it != drains_.rend(); ++it) ended += IsDraining(it->second.drain) ? 0 : 1;
  for (auto it = drains_.begin(); it != drains_.end() && ended > kKeptEnded;) {
    const bool drop = !IsDraining(it->second.drain);
    it = drop ? drains_.erase(it) : std::next(it);
    ended -= drop ? 1 : 0;
  }
  std::vector<Drain> all;
  for (const auto& [id, watched] : drains_) all.push_back(watched.drain);
  return actions_.Keep(all);
}

}  // namespace sluice::drain
