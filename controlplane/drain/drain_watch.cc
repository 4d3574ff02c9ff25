#include <algorithm>
#include <utility>

#include "controlplane/drain/drain_book.h"
#include "controlplane/model/text.h"

// How drains go: what is left, and when they are over.
namespace sluice::drain {
namespace {

using model::Cat;
using std::chrono::duration_cast;
using std::chrono::seconds;

// Workers take a new state up within a burst; until then a flow may still begin.
constexpr seconds kSettle(1);
// Where connections are not counted, how long nothing may come until they are taken to be over.
constexpr seconds kSilence(10);

bool Remembers(const model::VipRecord& vip) {
  return vip.desired.tracking == config::ConnectionTracking::kFull && vip.desired.cookies == config::Cookies::kNone &&
         !vip.desired.quic;
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

std::string Flows(uint64_t count) { return count == 1 ? "1 flow was" : Cat(count, " flows were"); }

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
  if (!on_its_way() || flows_left == 0 || flows_left >= flows_at_start) return std::nullopt;
  const double passed = std::chrono::duration<double>(now - started_at).count();
  const double ended = static_cast<double>(flows_at_start - flows_left);
  return seconds(static_cast<int64_t>(passed * static_cast<double>(flows_left) / ended));
}

void DrainBook::Tick(Time now) {
  const std::lock_guard lock(mutex_);
  bool changed = LetGoOfEnded();
  bool any = false;
  for (auto& [id, watched] : drains_) {
    if (!watched.drain.on_its_way()) continue;
    any = true;
    changed = Look(watched, now) || changed;
  }
  if (changed) {
    Forget();
    // The drain that ended is told all the same; a later change tries again.
    Keep().IgnoreError();
  }
  if (any || changed) Show();
}

DrainBook::Load DrainBook::LoadOf(const Drain& drain) const {
  Load load;
  const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
  const auto add = [&](const model::BackendRecord& backend) {
    const model::BackendCounts counts = facts_.CountsOf(backend.id) - backend.baseline;
    load.flows += counts.flows_alive;
    load.packets += counts.packets;
    load.bytes += counts.bytes;
    ++load.there;
  };
  if (drain.order.scope == Scope::kNode) {
    for (const auto& pool : registry->pools) {
      for (const model::BackendRecord& backend : pool->backends) add(backend);
    }
    return load;
  }
  for (const Member& member : drain.members) {
    const auto backend = registry->GetBackend(member.pool, member.backend);
    if (backend.ok()) add(**backend);
  }
  return load;
}

std::vector<Member> DrainBook::Those(const Drain& drain, bool draining) const {
  const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
  std::vector<Member> those;
  for (const Member& member : drain.members) {
    const auto backend = registry->GetBackend(member.pool, member.backend);
    if (!backend.ok()) continue;
    if (((*backend)->lifecycle == model::Lifecycle::kDraining) == draining) those.push_back(member);
  }
  return those;
}

void DrainBook::Begin(Watched& watched, Time now) {
  const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
  Drain& drain = watched.drain;
  drain.counts_flows =
      drain.order.scope != Scope::kNode && std::all_of(drain.members.begin(), drain.members.end(),
                                                       [&](const Member& m) { return CountsFlows(*registry, m.pool); });
  const Load load = LoadOf(drain);
  drain.flows_left = load.flows;
  watched.bytes_base = load.bytes - std::min(load.bytes, drain.bytes);
  watched.last_bytes = load.bytes;
  watched.last_packets = load.packets;
  watched.began_at = now;
  watched.last_look = now;
  watched.last_traffic = now;
}

bool DrainBook::LetGo(Watched& watched, Time now) {
  Drain& drain = watched.drain;
  const std::vector<Member> undrained = Those(drain, false);
  if (undrained.empty()) return false;
  for (const Member& gone : undrained) {
    std::erase_if(drain.members, [&](const Member& member) { return SameBackend(member, gone); });
  }
  if (drain.members.empty()) {
    End(drain, Phase::kCancelled, "somebody ended the drain", now);
    return true;
  }
  drain.message = Cat(undrained[0].pool, "/", undrained[0].backend,
                      undrained.size() == 1 ? std::string(" takes") : Cat(" and ", undrained.size() - 1, " more take"),
                      " new flows again");
  Tell(drain, Cat("drain ", drain.id, " goes on: ", drain.message));
  return true;
}

bool DrainBook::LetGoOfEnded() {
  const std::shared_ptr<const model::Registry> registry = truth_.Current().registry;
  if (registry == looked_at_) return false;
  looked_at_ = registry;
  bool changed = false;
  for (auto& [id, watched] : drains_) {
    if (!watched.drain.left_draining()) continue;
    for (const Member& gone : Those(watched.drain, false)) {
      std::erase_if(watched.drain.members, [&](const Member& member) { return SameBackend(member, gone); });
      changed = true;
    }
  }
  return changed;
}

bool DrainBook::Look(Watched& watched, Time now) {
  Drain& drain = watched.drain;
  const bool is_node = drain.order.scope == Scope::kNode;
  const bool let_go = !is_node && LetGo(watched, now);
  if (!drain.on_its_way()) return true;
  const Load load = LoadOf(drain);
  if (!is_node && load.there == 0) {
    End(drain, Phase::kFinished, "the backends are gone", now);
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
  if (over && now - watched.began_at >= kSettle) return Conclude(watched, Phase::kFinished, now) || let_go;
  const seconds deadline = drain.order.deadline;
  if (deadline > seconds(0) && now - drain.started_at >= deadline) {
    return Conclude(watched, Phase::kExpired, now) || let_go;
  }
  return let_go;
}

absl::Status DrainBook::RemoveMembers(const Drain& drain) {
  const std::vector<Member> there = Those(drain, true);
  return there.empty() ? absl::OkStatus() : actions_.Remove(there, {drain.user, "StartDrain"});
}

bool DrainBook::Conclude(Watched& watched, Phase phase, Time now) {
  Drain& drain = watched.drain;
  const bool is_node = drain.order.scope == Scope::kNode;
  const std::string passed = Seconds(now - drain.started_at);
  std::string message = phase == Phase::kExpired ? Cat("after ", passed, " ", Flows(drain.flows_left), " left")
                        : is_node                ? Cat("nothing comes any more, after ", passed)
                                                 : Cat("nothing left after ", passed);
  switch (drain.order.then) {
    case Then::kExit:
      End(drain, phase, message + "; sluiced ends", now);
      actions_.Exit();
      return true;
    case Then::kRemove: {
      const absl::Status status = RemoveMembers(drain);
      if (absl::IsUnavailable(status)) {
        drain.message = Cat("cannot be removed yet: ", std::string(status.message()));
        return false;  // the next look tries again
      }
      if (!status.ok()) {
        End(drain, Phase::kFailed, Cat(message, "; not removed: ", std::string(status.message())), now);
        return true;
      }
      message += "; removed";
      break;
    }
    case Then::kStop:
      message += is_node ? "; the node stays withdrawn" : "; the drain stays";
  }
  End(drain, phase, std::move(message), now);
  return true;
}

}  // namespace sluice::drain
