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

// Fetches the second buckets of the run's packets from `at` on that need them, all at once: one by one each would be
// waited for (a sixth of row new in a table as full as it was made for, where one SYN in eight needs it). Returns the
// run's end.
template <Family family, typename Run>
SLUICE_FAST_PATH const Packet* PrefetchSecondBuckets(const Packet* at, const Packet* end,
                                                     const WantedEntry<family>* wanted, const Run& run,
                                                     const SelectionTables& tables, StageEnv& env) {
  const auto& table = TableOf<family>(*env.tables).table;
  for (; at != end && run.Has(*at, tables); ++at, ++wanted) {
    if (!lb::NeedsSecond(*wanted->bucket)) continue;
    PrefetchLine(&table.EntriesOfSecond(KeyOf<family>(*at, FrameOf(*at)), at->flow_hash));
  }
  return at;
}

template <Family family>
fwd::TableCounters& TableCountersOf(fwd::WorkerCounters& counters) {
  return family == Family::kIpv4 ? counters.table_v4 : counters.table_v6;
}

// Enters the flow of a packet for which its first bucket alone does not do, as the ladder enters it. False: nothing was
// changed, and the ladder has to look: there most likely is no room, or the flow has an entry. Not inline, so that the
// others' loop keeps its registers.
template <Family family>
SLUICE_FAST_PATH __attribute__((noinline)) bool EnterInEither(const Packet& packet, const WantedEntry<family>& wanted,
                                                              BackendId backend, uint8_t generation,
                                                              lb::FlowState state, StageEnv& env) {
  auto& counted = TableOf<family>(*env.tables);
  auto& table = counted.table;
  const auto key = KeyOf<family>(packet, FrameOf(packet));
  // In a table with more connections than it was made for there is room for few: they would be looked for twice.
  if (counted.RefusedLately(env.now_s) && lb::IsFull(*wanted.bucket) &&
      lb::IsFull(table.EntriesOfSecond(key, packet.flow_hash))) {
    return false;
  }
  if (table.Find(key, packet.flow_hash) != nullptr) return false;
  auto* const entry = table.Insert(key, packet.flow_hash, env.now_s, [&](const auto& old) {
    return fwd::EndIfOver(old, *env.state, env.now_s, counted.unconfirmed, TableCountersOf<family>(*env.counters),
                          *env.counters);
  });
  if (entry == nullptr) return false;
  entry->value.backend = backend;
  entry->value.generation = generation;
  entry->set_state(state);
  return true;
}

// A loop of its own, which has registers for all that it needs: in that of known connections a SYN takes 29
// instructions more (row new).
template <Family family, typename Run>
SLUICE_FAST_PATH __attribute__((noinline)) Packet* BeginRun(Packet* first, Packet* end,
                                                            const WantedEntry<family>* wanted, const Run& run,
                                                            const SelectionTables tables, const Packet*& fetched_end,
                                                            StageEnv& env) {
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
    if (entry == nullptr && !lb::NeedsSecond(*wanted->bucket)) [[unlikely]]
      break;
    const BackendId backend(*run.SlotFor(packet, *wanted, tables));
    const uint8_t generation = tables.marks.GenerationOf(backend);
    if (entry != nullptr) [[likely]] {
      lb::Fill(*entry, lb::ChangeEnd(wanted->entry, to_begin), backend, generation);
    } else {
      if (at >= fetched_end) fetched_end = PrefetchSecondBuckets<family>(at, end, wanted, run, tables, env);
      if (!EnterInEither<family>(packet, *wanted, backend, generation, state, env)) break;
    }
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
  TableCountersOf<family>(*env.counters).inserted.Add(begun);
  return at;
}

}  // namespace

template <Family family>
SLUICE_FAST_PATH Packet* SelectNoted(Packet* first, Packet* end, const WantedEntry<family>* wanted,
                                     SelectionTables tables, const Packet*& fetched_end, StageEnv& env) {
  return BeginRun<family>(first, end, wanted, NotedRun<family>(), tables, fetched_end, env);
}

template <Family family>
SLUICE_FAST_PATH Packet* SelectDatagrams(Packet* first, Packet* end, const WantedEntry<family>* wanted,
                                         SelectionTables tables, const Packet*& fetched_end, StageEnv& env) {
  return BeginRun<family>(first, end, wanted, DatagramRun<family>(), tables, fetched_end, env);
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

#define SLUICE_OF_FAMILY(family)                                                                                  \
  template Packet* SelectNoted(Packet*, Packet*, const WantedEntry<family>*, SelectionTables, const Packet*&,     \
                               StageEnv&);                                                                        \
  template Packet* SelectPassing(Packet*, Packet*, const WantedEntry<family>*, SelectionTables, StageEnv&);       \
  template Packet* SelectDatagrams(Packet*, Packet*, const WantedEntry<family>*, SelectionTables, const Packet*&, \
                                   StageEnv&)
SLUICE_OF_FAMILY(Family::kIpv4);
SLUICE_OF_FAMILY(Family::kIpv6);
#undef SLUICE_OF_FAMILY

}  // namespace sluice::stage
