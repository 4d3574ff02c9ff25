#include "dataplane/stage/fast_tracked.h"

#include "dataplane/stage/fast_marks.h"
#include "dataplane/stage/fast_run.h"

namespace sluice::stage {

SLUICE_FAST_PATH size_t LookUpTrackedRun(rte_mbuf* const* mbufs, PortId port, size_t first, const Parsed& parsed,
                                         Burst& burst, WantedEntries& wanted, const StageEnv& env) {
  constexpr uint8_t kProtocol = net::kProtocolTcp;
  const auto connections = env.tables->v4().table.finder();
  return LookUpRun(
      mbufs, first, parsed, burst, env, InPort(port),
      [](size_t, const fwd::FastPathVip& vip, const uint8_t*) SLUICE_FAST_PATH
      __attribute__((always_inline)) { return vip.way == fwd::FastPathVip::Way::kTable; },
      [&](size_t place, Packet & packet, const fwd::FastPathVip& vip, const Tuple<net::Family::kIpv4, kProtocol>& tuple,
          uint64_t hash) SLUICE_FAST_PATH
      __attribute__((always_inline)) { Track<kProtocol>(tuple.block, hash, vip, connections, packet, wanted[place]); });
}

SLUICE_FAST_PATH size_t SelectTrackedRun(size_t first, Burst& burst, const WantedEntries& wanted, StageEnv& env) {
  const Marks marks(*env.state);
  const fwd::BackendEntry* const backends = env.state->backends->data();
  const fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  const auto now_s = static_cast<uint16_t>(env.now_s);
  const WantedEntry* look_for = &wanted[first];
  Packet* const end = burst.end();
  Packet* at = &burst.packets[first];
  for (; at != end; ++at, ++look_for) {
    Packet& packet = *at;
    if (packet.past != Past::kTrackedLookup) [[unlikely]]
      break;
    lb::ConnectionEntryV4* const entry = lb::FindWanted(*look_for->bucket, look_for->entry);
    if (entry == nullptr || !marks.IsUp(entry->value)) [[unlikely]] {
      packet.past = Past::kLookup;
      break;
    }
    NoteSeen(entry->value, now_s);
    packet.rung = fwd::Rung::kConnectionTable;
    MarkChosen(packet, entry->value.backend, backends, backend_counters);
  }
  const auto next = static_cast<size_t>(at - burst.begin());
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Add(next - first);
  return next;
}

}  // namespace sluice::stage
