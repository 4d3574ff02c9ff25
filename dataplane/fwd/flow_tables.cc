#include "dataplane/fwd/flow_tables.h"

#include <algorithm>

namespace sluice::fwd {
namespace {

// One packet is all that a spoofed flow costs its sender, so such flows get no more than a quarter of the table.
constexpr size_t kUnconfirmedShare = 4;

template <typename Table>
CountedTable<Table> MakeTable(size_t connections, const TableMemory& memory) {
  const size_t bytes = Table::BytesFor(connections);
  return {.table = Table(bytes == 0 ? nullptr : memory(bytes), connections),
          .unconfirmed = 0,
          .unconfirmed_limit = std::max<size_t>(1, connections / kUnconfirmedShare)};
}

// Sweeps the part of [first, first + count) that lies in this table, whose first bucket is number `base`.
template <typename Table>
void SweepPart(CountedTable<Table>& counted, size_t base, size_t first, size_t count, uint32_t now_s,
               const ForwardingState& state, TableCounters& table_counters, WorkerCounters& counters) {
  const size_t begin = std::max(first, base);
  const size_t end = std::min(first + count, base + counted.table.bucket_count());
  if (begin >= end) return;
  counted.table.Sweep(begin - base, end - begin, [&](const auto& entry) {
    return EndIfOver(entry, state, now_s, counted.unconfirmed, table_counters, counters);
  });
}

// Two of them are a bucket: a cache line.
constexpr size_t kSlotsPerBucket = 2;

}  // namespace

bool EndIfOver(const lb::ConnectionSlot& slot, const ForwardingState& state, uint32_t now_s, size_t& unconfirmed,
               WorkerCounters& counters) {
  const std::vector<VipEntry>& vips = *state.vips;
  const bool lives = slot.vip.index() < vips.size() && vips[slot.vip.index()].protocol != 0 &&
                     BackendExists(*state.backends, {.backend = slot.backend, .generation = slot.generation}) &&
                     slot.IdleSeconds(now_s) < lb::TimeoutOf(slot.state, vips[slot.vip.index()].timeouts);
  if (lives) return false;
  counters.table_stateful.expired.Increment();
  counters.backends[slot.backend.index()].flows_ended.Increment();
  if (lb::IsUnconfirmed(slot.state)) --unconfirmed;
  return true;
}

FlowTables::FlowTables(const TableCapacities& capacities, const TableMemory& memory, const NatSetup& nat)
    : v4_(MakeTable<lb::ConnectionTableV4>(capacities.v4, memory)),
      v6_(MakeTable<lb::ConnectionTableV6>(capacities.v6, memory)),
      wide_(MakeTable<lb::ConnectionTableWide>(capacities.wide, memory)),
      nat_(capacities.nat, nat, memory),
      slots_(MakeTable<lb::SlotTable>(capacities.stateful, memory)) {}

size_t FlowTables::bucket_count() const {
  return v4_.table.bucket_count() + v6_.table.bucket_count() + wide_.table.bucket_count() +
         slots_.table.slot_count() / kSlotsPerBucket + nat_.table().highest();
}

bool FlowTables::Sweep(size_t buckets, uint32_t now_s, const ForwardingState& state, WorkerCounters& counters) {
  if (cursor_ == 0) pass_generation_ = state.generation;
  const size_t count = std::min(buckets, bucket_count() - cursor_);
  const size_t v6_base = v4_.table.bucket_count();
  SweepPart(v4_, 0, cursor_, count, now_s, state, counters.table_v4, counters);
  SweepPart(v6_, v6_base, cursor_, count, now_s, state, counters.table_v6, counters);
  const size_t wide_base = v6_base + v6_.table.bucket_count();
  SweepPart(wide_, wide_base, cursor_, count, now_s, state, counters.table_wide, counters);
  const size_t slots_base = wide_base + wide_.table.bucket_count();
  // The last part, because it grows.
  const size_t nat_base = slots_base + slots_.table.slot_count() / kSlotsPerBucket;
  const size_t slots_first = std::max(cursor_, slots_base);
  const size_t slots_end = std::min(cursor_ + count, nat_base);
  if (slots_first < slots_end) {
    slots_.table.Sweep(
        (slots_first - slots_base) * kSlotsPerBucket, (slots_end - slots_first) * kSlotsPerBucket,
        [&](const lb::ConnectionSlot& slot) { return EndIfOver(slot, state, now_s, slots_.unconfirmed, counters); });
  }
  const size_t nat_first = std::max(cursor_, nat_base);
  if (nat_first < cursor_ + count) {
    nat_.Sweep(nat_first - nat_base, cursor_ + count - nat_first, now_s, state, counters);
  }
  cursor_ += count;
  if (cursor_ < bucket_count()) return false;
  cursor_ = 0;
  counters.table_v4.sweeps.Increment();
  counters.table_v6.sweeps.Increment();
  counters.table_wide.sweeps.Increment();
  counters.table_nat.sweeps.Increment();
  counters.table_stateful.sweeps.Increment();
  counters.swept_generation.Set(pass_generation_);
  return true;
}

}  // namespace sluice::fwd
