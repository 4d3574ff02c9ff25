#include "dataplane/stage/fast_begin.h"

#include <algorithm>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/find_known.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/fast_tuple.h"

namespace sluice::stage {
namespace {

using net::Family;
using net::Load;

// Family, protocol and TCP flags, which lie side by side in the record. Of the flags those that begin and end
// connections; a datagram has none.
constexpr uint32_t KindOf(Family family, uint8_t protocol, uint8_t tcp_flags) {
  return uint32_t{static_cast<uint8_t>(family)} | uint32_t{protocol} << 8 | uint32_t{tcp_flags} << 16;
}
inline uint32_t KindOf(const Packet& packet) {
  using Headers = net::ParsedHeaders;
  static_assert(offsetof(Headers, protocol) == offsetof(Headers, family) + 1);
  static_assert(offsetof(Headers, tcp_flags) == offsetof(Headers, family) + 2);
  constexpr uint32_t kMask = 0xffff | uint32_t{net::kTcpSyn | net::kTcpFin | net::kTcpRst} << 16;
  return Load<uint32_t>(reinterpret_cast<const uint8_t*>(&packet.headers.family)) & kMask;
}

// Its key, and where its entry is to be: of IPv4 as the first pass noted it.
template <Family family>
SLUICE_FAST_PATH inline auto BeginningOf(const Packet& packet, const WantedEntry& wanted) {
  if constexpr (family == Family::kIpv4) {
    return lb::TupleV4{.client_and_ports = wanted.entry, .vip = packet.vip};
  } else {
    return TupleOf<family>(packet, FrameOf(packet));
  }
}
template <Family family, typename Table>
auto& EntriesOf(Table& table, const Packet& packet, const WantedEntry& wanted) {
  if constexpr (family == Family::kIpv4) {
    return *wanted.bucket;
  } else {
    return table.FirstEntries(packet.flow_hash);
  }
}

// A loop of its own, which has registers for all that it needs: in that of known connections a SYN takes 29
// instructions more (row new).
template <Family family>
SLUICE_FAST_PATH __attribute__((noinline)) Packet* BeginRun(Packet* first, Packet* end, const WantedEntry* wanted,
                                                            uint32_t kind, lb::FlowState state,
                                                            const SelectionTables& tables, StageEnv& env) {
  auto& counted = TableOf<family>(*env.tables);
  const size_t room = counted.unconfirmed_limit - std::min(counted.unconfirmed, counted.unconfirmed_limit);
  if (room < static_cast<size_t>(end - first)) end = first + room;
  lb::ConnectionValue value;
  value.last_seen_s = static_cast<uint16_t>(env.now_s);
  value.state_bits = static_cast<uint8_t>(state);
  Packet* at = first;
  for (; at != end; ++at, ++wanted) {
    Packet& packet = *at;
    // Of IPv4 datagrams are kTrackedLookup.
    if ((packet.past != Past::kLookup && packet.past != Past::kTrackedLookup) || KindOf(packet) != kind) [[unlikely]]
      break;
    const size_t vip_index = packet.vip.index();
    const fwd::FastPathVip& vip = tables.vips[vip_index];
    if (vip.way != fwd::FastPathVip::Way::kTable || vip.slots == nullptr) [[unlikely]]
      break;
    const auto tuple = BeginningOf<family>(packet, *wanted);
    auto* const entry = lb::FindRoom(EntriesOf<family>(counted.table, packet, *wanted), tuple);
    if (entry == nullptr) [[unlikely]]
      break;
    value.backend = BackendId(vip.slots[lb::SlotOf(packet.flow_hash, vip.slot_count)]);
    const size_t backend = value.backend.index();
    value.generation = tables.marks.GenerationOf(value.backend);
    lb::Fill(*entry, tuple, value);
    packet.backend = value.backend;
    packet.rung = fwd::Rung::kScheduler;
    packet.past = Past::kSelection;
    CountInPlace(tables.backend_counters[backend].flows_started, 1);
    CountInPlace(tables.vip_counters[vip_index].new_flows, 1);
    // What the next pass reads first; what it counts has just been fetched.
    PrefetchLine(&tables.backends[backend]);
  }
  const auto begun = static_cast<size_t>(at - first);
  counted.unconfirmed += begun;
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kScheduler)].Add(begun);
  (family == Family::kIpv4 ? env.counters->table_v4 : env.counters->table_v6).inserted.Add(begun);
  return at;
}

}  // namespace

SLUICE_FAST_PATH Packet* SelectBeginning(Packet* first, Packet* end, const WantedEntry* wanted, SelectionTables tables,
                                         StageEnv& env) {
  const Family family = first->headers.family;
  const bool tcp = first->headers.protocol == net::kProtocolTcp;
  const uint32_t kind = KindOf(*first);
  if (tcp && kind != KindOf(family, net::kProtocolTcp, net::kTcpSyn)) return first;
  const lb::FlowState state = tcp ? lb::FlowState::kNew : lb::FlowState::kUdpNew;
  if (family == Family::kIpv4) return BeginRun<Family::kIpv4>(first, end, wanted, kind, state, tables, env);
  return BeginRun<Family::kIpv6>(first, end, wanted, kind, state, tables, env);
}

}  // namespace sluice::stage
