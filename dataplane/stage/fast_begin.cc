#include "dataplane/stage/fast_begin.h"

#include <algorithm>

#include "dataplane/lb/find_known.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/fast_run.h"
#include "dataplane/stage/fast_tracked.h"
#include "dataplane/stage/fast_tuple.h"

namespace sluice::stage {
namespace {

using net::Family;

// Which packets are of a run, and the slots by which their backends are chosen. Those that the first pass noted:
template <Family family>
struct NotedRun {
  static constexpr bool kFetchesHeadroom = true;  // LookUpTrackedRun left it to this pass
  bool Has(const Packet& packet, const SelectionTables&) const { return packet.past == kBeginningLookup<family>; }
  const uint16_t* SlotFor(const Packet&, const WantedEntry<family>& wanted, const SelectionTables&) const {
    return wanted.slot;
  }
};
// Datagrams, which are kTrackedLookup, but for the first, of which SelectTrackedRun has found no entry:
template <Family family>
struct DatagramRun {
  static constexpr bool kFetchesHeadroom = false;
  bool Has(const Packet& packet, const SelectionTables& tables) const {
    if (packet.past != Past::kLookup && packet.past != kTrackedLookup<family>) return false;
    if (packet.headers.protocol != net::kProtocolUdp) return false;
    const fwd::FastPathVip& vip = tables.vips[packet.vip.index()];
    return vip.way == fwd::FastPathVip::Way::kTable && vip.slots != nullptr;
  }
  const uint16_t* SlotFor(const Packet& packet, const WantedEntry<family>&, const SelectionTables& tables) const {
    return SlotOf(tables.vips[packet.vip.index()], packet.flow_hash);
  }
};

// A loop of its own, which has registers for all that it needs: in that of known connections a SYN takes 29
// instructions more (row new).
template <Family family, typename Run>
SLUICE_FAST_PATH __attribute__((noinline)) Packet* BeginRun(Packet* first, Packet* end,
                                                            const WantedEntry<family>* wanted, const Run& run,
                                                            const SelectionTables tables, StageEnv& env) {
  auto& counted = TableOf<family>(*env.tables);
  const size_t room = counted.unconfirmed_limit - std::min(counted.unconfirmed, counted.unconfirmed_limit);
  if (room < static_cast<size_t>(end - first)) end = first + room;
  const bool tcp = first->headers.protocol == net::kProtocolTcp;
  const lb::FlowState state = tcp ? lb::FlowState::kNew : lb::FlowState::kUdpNew;
  const lb::ConnectionValue begin = {.backend = BackendId(0),
                                     .last_seen_s = static_cast<uint16_t>(env.now_s),
                                     .state_bits = static_cast<uint8_t>(state)};
  // From what the first pass noted: the entry of a connection that goes on.
  const uint64_t to_begin = lb::EndOf(VipId(0), begin) ^ lb::EndOf(VipId(0), StateOfRunning(tcp));
  Packet* at = first;
  for (; at != end; ++at, ++wanted) {
    Packet& packet = *at;
    if (!run.Has(packet, tables)) [[unlikely]]
      break;
    auto* const entry = lb::FindRoom(*wanted->bucket, wanted->entry);
    if (entry == nullptr) [[unlikely]]
      break;
    const BackendId backend(*run.SlotFor(packet, *wanted, tables));
    lb::Fill(*entry, lb::ChangeEnd(wanted->entry, to_begin), backend, tables.marks.GenerationOf(backend));
    packet.rung = fwd::Rung::kScheduler;
    MarkChosen(packet, backend, tables.backends, tables.backend_counters);
    if constexpr (Run::kFetchesHeadroom) PrefetchHeadroom(FrameOf(packet), tables.vips[packet.vip.index()]);
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

template <Family family>
SLUICE_FAST_PATH Packet* SelectNoted(Packet* first, Packet* end, const WantedEntry<family>* wanted,
                                     SelectionTables tables, StageEnv& env) {
  return BeginRun<family>(first, end, wanted, NotedRun<family>(), tables, env);
}

template <Family family>
SLUICE_FAST_PATH Packet* SelectDatagrams(Packet* first, Packet* end, const WantedEntry<family>* wanted,
                                         SelectionTables tables, StageEnv& env) {
  return BeginRun<family>(first, end, wanted, DatagramRun<family>(), tables, env);
}

template <Family family>
SLUICE_FAST_PATH Packet* SelectPassing(Packet* first, Packet* end, const WantedEntry<family>* wanted,
                                       SelectionTables tables, StageEnv& env) {
  Packet* at = first;
  for (; at != end && at->past == kPassingLookup<family>; ++at, ++wanted) {
    if (lb::FindRoom(*wanted->bucket, wanted->entry) == nullptr) [[unlikely]]
      break;
    at->rung = fwd::Rung::kHashOnly;
    MarkChosen(*at, BackendId(*wanted->slot), tables.backends, tables.backend_counters);
    CountInPlace(tables.vip_counters[at->vip.index()].new_flows, 1);
  }
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kHashOnly)].Add(static_cast<size_t>(at - first));
  return at;
}

#define SLUICE_OF_FAMILY(select, family) \
  template Packet* select(Packet*, Packet*, const WantedEntry<family>*, SelectionTables, StageEnv&)
SLUICE_OF_FAMILY(SelectNoted, Family::kIpv4);
SLUICE_OF_FAMILY(SelectNoted, Family::kIpv6);
SLUICE_OF_FAMILY(SelectPassing, Family::kIpv4);
SLUICE_OF_FAMILY(SelectPassing, Family::kIpv6);
SLUICE_OF_FAMILY(SelectDatagrams, Family::kIpv4);
SLUICE_OF_FAMILY(SelectDatagrams, Family::kIpv6);
#undef SLUICE_OF_FAMILY

}  // namespace sluice::stage
