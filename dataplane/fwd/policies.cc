#include "dataplane/fwd/policies.h"

#include <algorithm>
#include <cstddef>

#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/net/headers.h"

namespace sluice::fwd {
namespace {

constexpr size_t kIds = size_t{1} << 16;  // all there can be

// Odd, and like the golden section in binary.
constexpr uint64_t kOtherDraw = 0x9e37'79b9'7f4a'7c15;

const PoolTable& PoolOf(const ForwardingState& state, const VipEntry& vip) { return *state.pools[vip.pool.index()]; }

// Where cookies name backends, the policy is for the connections that will have one. The others have entries, which
// other directors do not know, so they are better kept where every director looks for them first.
bool IsRemembered(const VipEntry& vip, const FlowView& flow) {
  return !vip.cookies || vip.slots || vip.quic || flow.has_timestamps;
}

bool Begins(const FlowView& flow) { return flow.protocol != net::kProtocolTcp || net::IsSyn(flow.tcp_flags); }

// Connections for each unit of weight, with the new one: a / b < c / d where a * d < c * b.
struct Burden {
  uint64_t load = 0;
  uint64_t weight = 0;
  bool operator<(const Burden& other) const { return load * other.weight < other.load * weight; }
};

class Chooser {
 public:
  Chooser(const PoolTable& pool, uint32_t now_s, const PolicyMemory& memory, const WorkerCounters& counters)
      : pool_(pool), now_s_(now_s), memory_(memory), counters_(counters) {}

  // Two slots of the pool's table, chosen by the flow's keyed hash, and of their owners the one with fewer connections:
  // "the power of two choices" (Mitzenmacher, 2001). Slots are as many as weights say, so a heavy backend is drawn more
  // often, and loads are compared by weight as well. A SYN that comes again draws the same two.
  BackendId OfTwo(uint64_t hash) const {
    const BackendId first = Draw(hash);
    BackendId second = first;
    for (uint64_t draw = hash * kOtherDraw, tries = 0; second == first && tries < kTries; ++tries) {
      second = Draw(draw);
      draw *= kOtherDraw;
    }
    return BurdenOf(second, WeightOf(second)) < BurdenOf(first, WeightOf(first)) ? second : first;
  }

  // All members, from the one whose turn it is, which so gets the connection where several have as few. O(members).
  BackendId Least(uint32_t start) const {
    const std::vector<lb::TurnOrder::Member>& members = pool_.turns.members;
    BackendId best(members[start].id);
    Burden least = BurdenOf(best, members[start].weight);
    for (size_t i = 1; i < members.size(); ++i) {
      const lb::TurnOrder::Member& member = members[(start + i) % members.size()];
      const Burden burden = BurdenOf(BackendId(member.id), member.weight);
      if (burden < least) {
        least = burden;
        best = BackendId(member.id);
      }
    }
    return best;
  }

 private:
  static constexpr uint64_t kTries = 3;

  BackendId Draw(uint64_t hash) const {
    const auto count = static_cast<uint32_t>(pool_.slots.size());
    return BackendId(pool_.slots[lb::SlotOf(hash, count)]);
  }
  Burden BurdenOf(BackendId backend, uint32_t weight) const {
    return {.load = memory_.Load(backend, now_s_, counters_) + lb::LoadEstimate::kOne, .weight = weight};
  }
  uint32_t WeightOf(BackendId backend) const { return pool_.weights[backend.index() - pool_.first_weight]; }

  const PoolTable& pool_;
  const uint32_t now_s_;
  const PolicyMemory& memory_;
  const WorkerCounters& counters_;
};

BackendId Place(const ForwardingState& state, const FlowView& flow, uint32_t now_s, const PolicyMemory& memory,
                const WorkerCounters& counters, PolicyMemory::Turn& turn) {
  const VipEntry& vip = (*state.vips)[flow.vip.index()];
  const PoolTable& pool = PoolOf(state, vip);
  if (pool.policy == SchedulingPolicy::kMaglev || pool.slots.empty() || !Begins(flow) || !IsRemembered(vip, flow)) {
    return ScheduleFlow(state, flow);
  }
  // Neither workers nor directors begin with the same member when they start together.
  if (!turn.begun) {
    turn.begun = true;
    turn.cursor.member = static_cast<uint32_t>((flow.hash >> 32) % pool.turns.members.size());
  }
  const Chooser chooser(pool, now_s, memory, counters);
  switch (pool.policy) {
    case SchedulingPolicy::kPowerOfTwo:
      return chooser.OfTwo(flow.hash);
    case SchedulingPolicy::kLeastConnections:
      return chooser.Least(lb::TakeTurn(pool.turns, turn.cursor));
    case SchedulingPolicy::kWeightedRoundRobin:
    case SchedulingPolicy::kMaglev:
      break;
  }
  return BackendId(pool.turns.members[lb::TakeTurn(pool.turns, turn.cursor)].id);
}

}  // namespace

PolicyMemory::PolicyMemory() : turns_(kIds), estimates_(kIds) {}

uint64_t PolicyMemory::Load(BackendId backend, uint32_t now_s, const WorkerCounters& counters) const {
  const BackendCounters& counted = counters.backends[backend.index()];
  const uint64_t kept = counted.flows_started.Value() - counted.flows_ended.Value();
  return kept * lb::LoadEstimate::kOne + estimates_[backend.index()].Value(now_s);
}

bool GoesByPolicy(const ForwardingState& state, const VipEntry& vip) {
  return PoolOf(state, vip).policy != SchedulingPolicy::kMaglev;
}

BackendId PlaceFlow(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                    const WorkerCounters& counters) {
  PolicyMemory& memory = tables.policies();
  return Place(state, flow, now_s, memory, counters, memory.turn((*state.vips)[flow.vip.index()].pool));
}

BackendId PeekPlace(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                    const WorkerCounters& counters) {
  PolicyMemory& memory = tables.policies();
  PolicyMemory::Turn turn = memory.turn((*state.vips)[flow.vip.index()].pool);
  return Place(state, flow, now_s, memory, counters, turn);
}

}  // namespace sluice::fwd
