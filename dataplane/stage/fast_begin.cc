#include "dataplane/stage/fast_begin.h"

#include <algorithm>

#include "dataplane/lb/find_known.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/fast_run.h"
#include "dataplane/stage/fast_tracked.h"
#include "dataplane/stage/fast_tracked_burst.h"
#include "dataplane/stage/fast_tuple.h"

namespace sluice::stage {
namespace {

using net::Family;

// A run's packets, one after the other. Of those that have records:
template <Family family>
class Recorded {
 public:
  Recorded(size_t first, Burst& burst, const WantedEntries& wanted)
      : packet_(&burst.packets[first]),
        wanted_(&wanted.of<family>()[first]),
        first_wanted_(wanted.of<family>().data()) {}

  void Skip(size_t packets) {
    packet_ += packets;
    wanted_ += packets;
  }
  bool IsAt(const Recorded& other) const { return packet_ == other.packet_; }
  size_t place() const { return static_cast<size_t>(wanted_ - first_wanted_); }
  const WantedEntry<family>& wanted() const { return *wanted_; }
  uint64_t hash() const { return packet_->flow_hash; }
  void Choose(BackendId backend, const SelectionTables& tables) const {
    packet_->rung = fwd::Rung::kScheduler;
    MarkChosen(*packet_, backend, tables.backends, tables.backend_counters);
  }
  fwd::VipCounters& vip_counters(const SelectionTables& tables) const {
    return tables.vip_counters[packet_->vip.index()];
  }
  fwd::BackendCounters& backend_counters(const SelectionTables& tables) const {
    return tables.backend_counters[packet_->backend.index()];
  }

 protected:
  Packet* packet_;

 private:
  const WantedEntry<family>* wanted_;
  const WantedEntry<family>* first_wanted_;
};
// Those that the first pass noted:
template <Family family>
struct NotedRun : Recorded<family> {
  static constexpr bool kTcp = true;
  using Recorded<family>::Recorded;
  bool Has(const SelectionTables&) const { return this->packet_->past == kBeginningLookup<family>; }
  const uint16_t* slot(const SelectionTables&) const { return this->wanted().slot; }
  void Choose(BackendId backend, const SelectionTables& tables) const {
    Recorded<family>::Choose(backend, tables);
    // LookUpTrackedRun left it to this pass.
    PrefetchHeadroom(FrameOf(*this->packet_), tables.vips[this->packet_->vip.index()]);
  }
};
// Datagrams, which are kTrackedLookup, but for the first, of which SelectTrackedRun has found no entry:
template <Family family>
struct DatagramRun : Recorded<family> {
  static constexpr bool kTcp = false;
  using Recorded<family>::Recorded;
  bool Has(const SelectionTables& tables) const {
    const Packet& packet = *this->packet_;
    if (packet.past != Past::kLookup && packet.past != kTrackedLookup<family>) return false;
    if (packet.headers.protocol != net::kProtocolUdp) return false;
    const fwd::FastPathVip& vip = tables.vips[packet.vip.index()];
    return vip.way == fwd::FastPathVip::Way::kTable && vip.slots != nullptr;
  }
  const uint16_t* slot(const SelectionTables& tables) const {
    return SlotOf(tables.vips[this->packet_->vip.index()], this->packet_->flow_hash);
  }
};
// Those that have none:
class UnrecordedRun {
 public:
  static constexpr bool kTcp = true;
  UnrecordedRun(Parsed& parsed, const WantedEntries& wanted, const StageEnv& env)
      : parsed_(parsed), wanted_(wanted.v4.data()), env_(env) {}

  void Skip(size_t packets) { place_ += packets; }
  bool IsAt(const UnrecordedRun& other) const { return place_ == other.place_; }
  size_t place() const { return place_; }
  const WantedEntry<Family::kIpv4>& wanted() const { return wanted_[place_]; }
  SLUICE_FAST_PATH uint64_t hash() const { return HashOfUnrecorded(parsed_, place_, env_); }
  static bool Has(const SelectionTables&) { return true; }
  const uint16_t* slot(const SelectionTables&) const { return wanted().slot; }
  void Choose(BackendId backend, const SelectionTables& tables) const {
    ChooseUnrecorded(parsed_, place_, backend.index(), tables.backends, tables.backend_counters);
    PrefetchLine(parsed_.frame[place_] - 1);  // as of NotedRun
  }
  fwd::VipCounters& vip_counters(const SelectionTables& tables) const {
    return VipIndex::At(parsed_.vip_offset[place_]).of(tables.vip_counters);
  }
  fwd::BackendCounters& backend_counters(const SelectionTables& tables) const {
    return BackendIndex::At(parsed_.backend_offset[place_]).of(tables.backend_counters);
  }

 private:
  size_t place_ = 0;
  Parsed& parsed_;
  const WantedEntry<Family::kIpv4>* wanted_;
  const StageEnv& env_;
};

// Fetches the second buckets of the run's packets up to `end` that need them, all at once: one by one each would be
// waited for (a sixth of row new in a table as full as it was made for, where one SYN in eight needs it). Returns the
// place behind the last of the run.
template <Family family, typename Run>
SLUICE_FAST_PATH size_t PrefetchSecondBuckets(Run run, const Run& end, const SelectionTables& tables, StageEnv& env) {
  const auto& table = TableOf<family>(*env.tables).table;
  for (; !run.IsAt(end) && run.Has(tables); run.Skip(1)) {
    const WantedEntry<family>& wanted = run.wanted();
    if (!lb::NeedsSecond(*wanted.bucket)) continue;
    PrefetchLine(&table.EntriesOfSecond(lb::KeyOf(wanted.entry), run.hash()));
  }
  return run.place();
}

template <Family family>
fwd::TableCounters& TableCountersOf(fwd::WorkerCounters& counters) {
  return family == Family::kIpv4 ? counters.table_v4 : counters.table_v6;
}

// Enters the flow of a packet for which its first bucket alone does not do, as the ladder enters it. False: nothing was
// changed, and the ladder has to look: there most likely is no room, or the flow has an entry. Not inline, so that the
// others' loop keeps its registers.
template <Family family>
SLUICE_FAST_PATH __attribute__((noinline)) bool EnterInEither(const WantedEntry<family>& wanted, uint64_t hash,
                                                              BackendId backend, uint8_t generation,
                                                              lb::FlowState state, StageEnv& env) {
  auto& counted = TableOf<family>(*env.tables);
  auto& table = counted.table;
  const auto key = lb::KeyOf(wanted.entry);
  // In a table with more connections than it was made for there is room for few: they would be looked for twice.
  if (counted.RefusedLately(env.now_s) && lb::IsFull(*wanted.bucket) && lb::IsFull(table.EntriesOfSecond(key, hash))) {
    return false;
  }
  if (table.Find(key, hash) != nullptr) return false;
  auto* const entry = table.Insert(key, hash, env.now_s, [&](const auto& old) {
    return fwd::EndIfOver(old, *env.state, env.now_s, counted.unconfirmed, TableCountersOf<family>(*env.counters),
                          *env.counters);
  });
  if (entry == nullptr) return false;
  entry->value.backend = backend;
  entry->value.generation = generation;
  entry->set_state(state);
  return true;
}

// Of the run's packets `most` at most; returns how many begin. Inline in functions that are not: a cursor handed over
// in memory would be waited for once a run (0.89 of the cycles where every other packet begins a connection).
template <Family family, typename Run>
SLUICE_FAST_PATH __attribute__((always_inline)) inline size_t BeginRun(Run run, size_t most,
                                                                       const SelectionTables& tables,
                                                                       size_t& fetched_end, StageEnv& env) {
  auto& counted = TableOf<family>(*env.tables);
  most = std::min(most, counted.unconfirmed_limit - std::min(counted.unconfirmed, counted.unconfirmed_limit));
  constexpr lb::FlowState kState = Run::kTcp ? lb::FlowState::kNew : lb::FlowState::kUdpNew;
  const lb::ConnectionValue begin = {.backend = BackendId(0),
                                     .last_seen_s = static_cast<uint16_t>(env.now_s),
                                     .state_bits = static_cast<uint8_t>(kState)};
  // From what the first pass noted: the entry of a connection that goes on.
  const uint64_t to_begin = lb::EndOf(VipId(0), begin) ^ lb::EndOf(VipId(0), StateOfRunning(Run::kTcp));
  const Run first = run;
  Run end = run;
  end.Skip(most);
  for (; !run.IsAt(end); run.Skip(1)) {
    if (!run.Has(tables)) [[unlikely]]
      break;
    const WantedEntry<family>& wanted = run.wanted();
    auto* const entry = lb::FindRoom(*wanted.bucket, wanted.entry);
    if (entry == nullptr && !lb::NeedsSecond(*wanted.bucket)) [[unlikely]]
      break;
    const BackendId backend(*run.slot(tables));
    const uint8_t generation = tables.marks.GenerationOf(backend);
    if (entry != nullptr) [[likely]] {
      lb::Fill(*entry, lb::ChangeEnd(wanted.entry, to_begin), backend, generation);
    } else {
      if (run.place() >= fetched_end) fetched_end = PrefetchSecondBuckets<family>(run, end, tables, env);
      if (!EnterInEither<family>(wanted, run.hash(), backend, generation, kState, env)) break;
    }
    run.Choose(backend, tables);
  }
  // Once the backends' lines are there: counted above, each would be waited for (7 % of row new).
  for (Run begun = first; !begun.IsAt(run); begun.Skip(1)) {
    CountInPlace(begun.backend_counters(tables).flows_started, 1);
    CountInPlace(begun.vip_counters(tables).new_flows, 1);
  }
  const size_t count = run.place() - first.place();
  counted.unconfirmed += count;
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kScheduler)].Add(count);
  TableCountersOf<family>(*env.counters).inserted.Add(count);
  return count;
}

}  // namespace

// Loops of their own, which have registers for all that they need: in that of known connections a SYN takes 29
// instructions more (row new).
template <Family family>
SLUICE_FAST_PATH __attribute__((noinline)) size_t SelectNoted(size_t first, Burst& burst, const WantedEntries& wanted,
                                                              SelectionTables tables, size_t& fetched_end,
                                                              StageEnv& env) {
  const NotedRun<family> run(first, burst, wanted);
  return first + BeginRun<family>(run, burst.count - first, tables, fetched_end, env);
}

template <Family family>
SLUICE_FAST_PATH __attribute__((noinline)) size_t SelectDatagrams(size_t first, Burst& burst,
                                                                  const WantedEntries& wanted, SelectionTables tables,
                                                                  size_t& fetched_end, StageEnv& env) {
  const DatagramRun<family> run(first, burst, wanted);
  return first + BeginRun<family>(run, burst.count - first, tables, fetched_end, env);
}

SLUICE_FAST_PATH __attribute__((noinline)) size_t SelectUnrecorded(Parsed& parsed, const WantedEntries& wanted,
                                                                   SelectionTables tables, StageEnv& env) {
  size_t fetched_end = 0;
  return BeginRun<Family::kIpv4>(UnrecordedRun(parsed, wanted, env), kBurstSize, tables, fetched_end, env);
}

template <Family family>
SLUICE_FAST_PATH size_t SelectPassing(size_t first, Burst& burst, const WantedEntries& wanted, SelectionTables tables,
                                      StageEnv& env) {
  const WantedEntry<family>* look_for = &wanted.of<family>()[first];
  Packet* at = &burst.packets[first];
  for (; at != burst.end() && at->past == kPassingLookup<family>; ++at, ++look_for) {
    if (lb::FindRoom(*look_for->bucket, look_for->entry) == nullptr) [[unlikely]]
      break;
    at->rung = fwd::Rung::kHashOnly;
    MarkChosen(*at, BackendId(*look_for->slot), tables.backends, tables.backend_counters);
    CountInPlace(tables.vip_counters[at->vip.index()].new_flows, 1);
  }
  const auto next = static_cast<size_t>(at - burst.begin());
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kHashOnly)].Add(next - first);
  return next;
}

#define SLUICE_OF_FAMILY(family)                                                                                  \
  template size_t SelectNoted<family>(size_t, Burst&, const WantedEntries&, SelectionTables, size_t&, StageEnv&); \
  template size_t SelectPassing<family>(size_t, Burst&, const WantedEntries&, SelectionTables, StageEnv&);        \
  template size_t SelectDatagrams<family>(size_t, Burst&, const WantedEntries&, SelectionTables, size_t&, StageEnv&)
SLUICE_OF_FAMILY(Family::kIpv4);
SLUICE_OF_FAMILY(Family::kIpv6);
#undef SLUICE_OF_FAMILY

}  // namespace sluice::stage
