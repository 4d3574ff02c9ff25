#include "dataplane/fwd/flow_tables.h"

#include <algorithm>

namespace sluice::fwd {
namespace {

bool VipExists(const std::vector<VipEntry>& vips, VipId id) {
  return id.index() < vips.size() && vips[id.index()].protocol != 0;
}

// Sweeps the part of [first, first + count) that lies in this table, whose first bucket is number `base`.
template <typename Table>
void SweepPart(Table& table, size_t base, size_t first, size_t count, uint32_t now_s, const lb::FlowTimeouts& timeouts,
               const ForwardingState& state, TableCounters& table_counters, WorkerCounters& counters) {
  const size_t begin = std::max(first, base);
  const size_t end = std::min(first + count, base + table.bucket_count());
  if (begin >= end) return;
  table.Sweep(begin - base, end - begin, [&](const auto& entry) {
    const bool over = entry.IdleSeconds(now_s) >= lb::TimeoutOf(entry.state(), timeouts) ||
                      !BackendExists(*state.backends, entry.value) || !VipExists(*state.vips, entry.key.vip);
    if (over) {
      table_counters.expired.Increment();
      counters.backends[entry.value.backend.index()].flows_ended.Increment();
    }
    return over;
  });
}

}  // namespace

bool BackendExists(const BackendTable& backends, const lb::ConnectionValue& value) {
  if (value.backend.index() >= backends.size()) return false;
  const BackendEntry& backend = backends[value.backend.index()];
  return backend.state != BackendState::kAbsent && static_cast<uint8_t>(backend.generation) == value.generation;
}

FlowTables::FlowTables(size_t connections_v4, size_t connections_v6, const lb::FlowTimeouts& timeouts,
                       const TableMemory& memory)
    : timeouts_(timeouts),
      v4_(memory(lb::ConnectionTableV4::BytesFor(connections_v4)), connections_v4),
      v6_(memory(lb::ConnectionTableV6::BytesFor(connections_v6)), connections_v6) {}

size_t FlowTables::bucket_count() const { return v4_.bucket_count() + v6_.bucket_count(); }

bool FlowTables::Sweep(size_t buckets, uint32_t now_s, const ForwardingState& state, WorkerCounters& counters) {
  if (cursor_ == 0) pass_generation_ = state.generation;
  const size_t count = std::min(buckets, bucket_count() - cursor_);
  SweepPart(v4_, 0, cursor_, count, now_s, timeouts_, state, counters.table_v4, counters);
  SweepPart(v6_, v4_.bucket_count(), cursor_, count, now_s, timeouts_, state, counters.table_v6, counters);
  cursor_ += count;
  if (cursor_ < bucket_count()) return false;
  cursor_ = 0;
  counters.table_v4.sweeps.Increment();
  counters.table_v6.sweeps.Increment();
  counters.swept_generation.Set(pass_generation_);
  return true;
}

}  // namespace sluice::fwd
