#include "dataplane/stage/fast_begin.h"

#include <algorithm>

#include "dataplane/lb/find_known.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/fast_tracked.h"
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
  constexpr uint32_t kMask = 0xffff | kChangeFlags << 16;
  return Load<uint32_t>(reinterpret_cast<const uint8_t*>(&packet.headers.family)) & kMask;
}

// Which packets are of a run, and the slots by which their backends are chosen. Those that the first pass noted:
struct NotedRun {
  bool Has(const Packet& packet, const SelectionTables&) const { return packet.past == Past::kBeginningLookup; }
  const uint16_t* SlotFor(const Packet&, const WantedEntry& wanted, const SelectionTables&) const {
    return wanted.slot;
  }
};
// Others, of one kind:
struct KindRun {
  bool Has(const Packet& packet, const SelectionTables& tables) const {
    // Of IPv4 datagrams are kTrackedLookup.
    if ((packet.past != Past::kLookup && packet.past != Past::kTrackedLookup) || KindOf(packet) != kind) return false;
    const fwd::FastPathVip& vip = tables.vips[packet.vip.index()];
    return vip.way == fwd::FastPathVip::Way::kTable && vip.slots != nullptr;
  }
  const uint16_t* SlotFor(const Packet& packet, const WantedEntry&, const SelectionTables& tables) const {
    return SlotOf(tables.vips[packet.vip.index()], packet.flow_hash);
  }
  uint32_t kind;
};

// Where a run's connections are entered, and what their entries have in common.
template <Family family>
struct Entering;

// The first pass noted where, and the entries that they will have when they go on.
template <>
struct Entering<Family::kIpv4> {
  SLUICE_FAST_PATH Entering(lb::ConnectionTableV4&, bool tcp, const lb::ConnectionValue& begin)
      : to_begin(_mm_set_epi64x(
            static_cast<long long>(lb::EndOf(VipId(0), begin) ^ lb::EndOf(VipId(0), StateOfRunning(tcp))), 0)) {}
  SLUICE_FAST_PATH lb::ConnectionEntryV4* FindRoom(const Packet& packet, const WantedEntry& wanted) const {
    return lb::FindRoom(*wanted.bucket, {.client_and_ports = wanted.entry, .vip = packet.vip});
  }
  SLUICE_FAST_PATH void Fill(lb::ConnectionEntryV4& entry, const Packet&, const WantedEntry& wanted, BackendId backend,
                             uint8_t generation) const {
    lb::Fill(entry, _mm_xor_si128(wanted.entry, to_begin), backend, generation);
  }
  __m128i to_begin;
};

template <>
struct Entering<Family::kIpv6> {
  Entering(lb::ConnectionTableV6& in, bool, const lb::ConnectionValue& begin) : table(in), value(begin) {}
  SLUICE_FAST_PATH lb::ConnectionEntryV6* FindRoom(const Packet& packet, const WantedEntry&) const {
    return lb::FindRoom(table.FirstEntries(packet.flow_hash), TupleOf<Family::kIpv6>(packet, FrameOf(packet)));
  }
  SLUICE_FAST_PATH void Fill(lb::ConnectionEntryV6& entry, const Packet& packet, const WantedEntry&, BackendId backend,
                             uint8_t generation) {
    value.backend = backend;
    value.generation = generation;
    lb::Fill(entry, TupleOf<Family::kIpv6>(packet, FrameOf(packet)), value);
  }
  lb::ConnectionTableV6& table;
  lb::ConnectionValue value;
};

// A loop of its own, which has registers for all that it needs: in that of known connections a SYN takes 29
// instructions more (row new).
template <Family family, typename Run>
SLUICE_FAST_PATH __attribute__((noinline)) Packet* BeginRun(Packet* first, Packet* end, const WantedEntry* wanted,
                                                            const Run& run, const SelectionTables& tables,
                                                            StageEnv& env) {
  auto& counted = TableOf<family>(*env.tables);
  const size_t room = counted.unconfirmed_limit - std::min(counted.unconfirmed, counted.unconfirmed_limit);
  if (room < static_cast<size_t>(end - first)) end = first + room;
  const bool tcp = first->headers.protocol == net::kProtocolTcp;
  const lb::FlowState state = tcp ? lb::FlowState::kNew : lb::FlowState::kUdpNew;
  Entering<family> entering(counted.table, tcp,
                            {.backend = BackendId(0),
                             .last_seen_s = static_cast<uint16_t>(env.now_s),
                             .state_bits = static_cast<uint8_t>(state)});
  Packet* at = first;
  for (; at != end; ++at, ++wanted) {
    Packet& packet = *at;
    if (!run.Has(packet, tables)) [[unlikely]]
      break;
    auto* const entry = entering.FindRoom(packet, *wanted);
    if (entry == nullptr) [[unlikely]]
      break;
    const BackendId backend(*run.SlotFor(packet, *wanted, tables));
    entering.Fill(*entry, packet, *wanted, backend, tables.marks.GenerationOf(backend));
    packet.rung = fwd::Rung::kScheduler;
    MarkChosen(packet, backend, tables.backends, tables.backend_counters);
  }
  // Once the backends' lines are there: counted above, each would be waited for (7 % of row new).
  for (const Packet* packet = first; packet != at; ++packet) {
    CountInPlace(tables.backend_counters[packet->backend.index()].flows_started, 1);
    CountInPlace(tables.vip_counters[packet->vip.index()].new_flows, 1);
  }
  const auto begun = static_cast<size_t>(at - first);
  counted.unconfirmed += begun;
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kScheduler)].Add(begun);
  (family == Family::kIpv4 ? env.counters->table_v4 : env.counters->table_v6).inserted.Add(begun);
  return at;
}

}  // namespace

SLUICE_FAST_PATH Packet* SelectNoted(Packet* first, Packet* end, const WantedEntry* wanted, SelectionTables tables,
                                     StageEnv& env) {
  return BeginRun<Family::kIpv4>(first, end, wanted, NotedRun(), tables, env);
}

SLUICE_FAST_PATH Packet* SelectBeginning(Packet* first, Packet* end, const WantedEntry* wanted, SelectionTables tables,
                                         StageEnv& env) {
  const KindRun run = {.kind = KindOf(*first)};
  // SYNs of IPv4 were noted, or are to VIPs without slots, which are the ladder's.
  if (first->headers.protocol == net::kProtocolTcp &&
      run.kind != KindOf(Family::kIpv6, net::kProtocolTcp, net::kTcpSyn))
    return first;
  if (first->headers.family == Family::kIpv4) return BeginRun<Family::kIpv4>(first, end, wanted, run, tables, env);
  return BeginRun<Family::kIpv6>(first, end, wanted, run, tables, env);
}

}  // namespace sluice::stage
