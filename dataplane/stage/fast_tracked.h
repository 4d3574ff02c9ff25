#ifndef SLUICE_DATAPLANE_STAGE_FAST_TRACKED_H_
#define SLUICE_DATAPLANE_STAGE_FAST_TRACKED_H_

#include <immintrin.h>
#include <rte_mbuf.h>

#include <cstddef>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/connection_table.h"
#include "dataplane/lb/find_known.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_parse.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/fast_tuple.h"
#include "dataplane/stage/packet.h"

// Connections that go on, to VIPs of the way kTable: most packets that there are. What the first pass has of one
// in registers anyway tells the second pass which entry to look for and where (WantedEntry). Each pass has a loop of
// its own for packets of the kind that follow each other, with registers for all that it needs: in loops over packets
// of all kinds both together take 40 instructions more a packet (row table).
namespace sluice::stage {

// The state of connections that go on.
constexpr lb::FlowState StateOfRunning(bool tcp) { return tcp ? lb::FlowState::kEstablished : lb::FlowState::kUdp; }

// Notes which entry the connection has if it goes on, and where, and fetches it. `connections`: the table's Finder.
template <net::Family family, uint8_t protocol, typename Finder>
SLUICE_FAST_PATH __attribute__((always_inline)) inline void Want(const Tuple<family, protocol>& tuple, uint64_t hash,
                                                                 const Finder& connections, VipId vip,
                                                                 WantedEntry<family>& wanted) {
  const lb::FlowState state = StateOfRunning(protocol == net::kProtocolTcp);
  wanted.entry = lb::EntryOf(TupleOf(tuple), lb::EndOf(vip, state));
  wanted.bucket = &connections.FirstEntries(hash);
  PrefetchLine(wanted.bucket);
}

// Notes what the second pass needs of a packet to such a VIP, and fetches it.
template <net::Family family, uint8_t protocol, typename Finder>
SLUICE_FAST_PATH __attribute__((always_inline)) inline void Track(const Tuple<family, protocol>& tuple, uint64_t hash,
                                                                  const fwd::FastPathVip& vip,
                                                                  const Finder& connections, Packet& packet,
                                                                  WantedEntry<family>& wanted) {
  Want(tuple, hash, connections, packet.vip, wanted);
  const unsigned change = ChangeBy(packet);
  if (change == 0) [[likely]] {
    packet.past = kTrackedLookup<family>;
    return;
  }
  if (change != net::kTcpSyn || vip.slots == nullptr) {
    packet.past = Past::kLookup;
    return;
  }
  packet.past = kBeginningLookup<family>;
  wanted.slot = SlotOf(vip, hash);
  PrefetchLine(wanted.slot);
}

// Whether the burst's first packet is of Parsed::eights_of the kind and to such a VIP.
template <net::Family family, uint8_t protocol>
bool StartsTracked(const Parsed& parsed, const fwd::ForwardingState& state) {
  if ((parsed.eights_of<family, protocol>() & 1) == 0) return false;
  const VipKey<family> key = VipKeyOfEight<family, protocol>(parsed, 0);
  const VipId vip = VipFinderOf<family>(state).FindIn(parsed.slot[0], key.key, key.address, key.service);
  return vip.valid() && (*state.fast_path_vips)[vip.index()].way == fwd::FastPathVip::Way::kTable;
}

// The first pass of packets from `first` on that are of Parsed::eights_of the kind; makes the records that are not made
// yet. Returns the first of another kind, of which nothing is known yet.
template <net::Family family, uint8_t protocol>
SLUICE_FAST_PATH size_t LookUpTrackedRun(rte_mbuf* const* mbufs, PortId port, size_t first, const Parsed& parsed,
                                         Burst& burst, WantedEntries& wanted, const StageEnv& env);

// The second pass of those from `first` on that are kTrackedLookup of the first's family. Returns the first that is
// not, or that has no entry, or whose backend is not up; such a one is Past::kLookup from then on.
template <net::Family family>
SLUICE_FAST_PATH size_t SelectTrackedRunOf(size_t first, Burst& burst, const WantedEntries& wanted, StageEnv& env);
inline size_t SelectTrackedRun(size_t first, Burst& burst, const WantedEntries& wanted, StageEnv& env) {
  const bool v4 = burst.packets[first].past == kTrackedLookup<net::Family::kIpv4>;
  const auto select = v4 ? SelectTrackedRunOf<net::Family::kIpv4> : SelectTrackedRunOf<net::Family::kIpv6>;
  return select(first, burst, wanted, env);
}

// The connection's entry in its second bucket, or null. Of IPv6 one connection in fourteen lies there, and two alone
// share a bucket: left to the ladder, these would double the row's cost. Not inline, so that what it takes is not kept
// in registers for all others.
template <net::Family family>
SLUICE_FAST_PATH __attribute__((noinline)) auto* FindInSecond(const WantedEntry<family>& wanted, uint64_t hash,
                                                              StageEnv& env) {
  auto& table = TableOf<family>(*env.tables).table;
  auto* const second = table.SecondEntries(lb::KeyOf(wanted.entry), hash);
  return second == nullptr ? nullptr : lb::FindWanted(*second, wanted.entry);
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_TRACKED_H_
