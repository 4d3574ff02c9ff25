#include "dataplane/stage/fast_tracked.h"

#include "dataplane/stage/fast_marks.h"
#include "dataplane/stage/fast_run.h"

namespace sluice::stage {

template <net::Family family, uint8_t protocol>
SLUICE_FAST_PATH size_t LookUpTrackedRun(rte_mbuf* const* mbufs, PortId port, size_t first, const Parsed& parsed,
                                         Burst& burst, WantedEntries& wanted, const StageEnv& env) {
  const auto connections = TableOf<family>(*env.tables).table.finder();
  return LookUpRun<family, protocol>(
      mbufs, first, parsed, burst, env, InPort(port),
      [](size_t, const fwd::FastPathVip& vip, const uint8_t*) SLUICE_FAST_PATH
      __attribute__((always_inline)) { return vip.way == fwd::FastPathVip::Way::kTable; },
      [&](size_t place, Packet & packet, const fwd::FastPathVip& vip, const Tuple<family, protocol>& tuple,
          uint64_t hash) SLUICE_FAST_PATH __attribute__((always_inline)) {
        Track(tuple, hash, vip, connections, packet, wanted.of<family>()[place]);
        // Of one that begins it is left to the second pass: bucket and slot are what this one waits for (row new 0.98).
        if (packet.past != kBeginningLookup<family>) PrefetchHeadroom(parsed.frame[place], vip);
      });
}
template size_t LookUpTrackedRun<net::Family::kIpv4, net::kProtocolTcp>(rte_mbuf* const*, PortId, size_t, const Parsed&,
                                                                        Burst&, WantedEntries&, const StageEnv&);
template size_t LookUpTrackedRun<net::Family::kIpv4, net::kProtocolUdp>(rte_mbuf* const*, PortId, size_t, const Parsed&,
                                                                        Burst&, WantedEntries&, const StageEnv&);
template size_t LookUpTrackedRun<net::Family::kIpv6, net::kProtocolTcp>(rte_mbuf* const*, PortId, size_t, const Parsed&,
                                                                        Burst&, WantedEntries&, const StageEnv&);
template size_t LookUpTrackedRun<net::Family::kIpv6, net::kProtocolUdp>(rte_mbuf* const*, PortId, size_t, const Parsed&,
                                                                        Burst&, WantedEntries&, const StageEnv&);

template <net::Family family>
SLUICE_FAST_PATH size_t SelectTrackedRunOf(size_t first, Burst& burst, const WantedEntries& wanted, StageEnv& env) {
  const Marks marks(*env.state);
  const fwd::BackendEntry* const backends = env.state->backends->data();
  const fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  const auto now_s = static_cast<uint16_t>(env.now_s);
  const WantedEntry<family>* look_for = &wanted.of<family>()[first];
  Packet* const end = burst.end();
  Packet* at = &burst.packets[first];
  for (; at != end; ++at, ++look_for) {
    Packet& packet = *at;
    if (packet.past != kTrackedLookup<family>) [[unlikely]]
      break;
    auto* entry = lb::FindWanted(*look_for->bucket, look_for->entry);
    if (entry == nullptr) [[unlikely]]
      entry = FindInSecond<family>(*look_for, packet.flow_hash, env);
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
template size_t SelectTrackedRunOf<net::Family::kIpv4>(size_t, Burst&, const WantedEntries&, StageEnv&);
template size_t SelectTrackedRunOf<net::Family::kIpv6>(size_t, Burst&, const WantedEntries&, StageEnv&);

}  // namespace sluice::stage
