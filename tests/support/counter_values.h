#ifndef SLUICE_TESTS_SUPPORT_COUNTER_VALUES_H_
#define SLUICE_TESTS_SUPPORT_COUNTER_VALUES_H_

#include <cstdint>
#include <cstring>
#include <vector>

#include "dataplane/fwd/worker_counters.h"

namespace sluice::test {

// All that a worker counted, as one run of numbers to be compared with another worker's: counters that are added later
// are in it too. Of the calling thread's own worker.
inline std::vector<uint64_t> CounterValues(const fwd::WorkerCounters& counters) {
  static_assert(sizeof(Counter) == sizeof(uint64_t) && sizeof(Gauge) == sizeof(uint64_t));
  std::vector<uint64_t> values;
  const auto append = [&values](const void* begin, size_t bytes) {
    const size_t old = values.size();
    values.resize(old + bytes / sizeof(uint64_t));
    std::memcpy(values.data() + old, begin, bytes / sizeof(uint64_t) * sizeof(uint64_t));
  };
  // The arrays of VIPs and backends come last.
  append(&counters, static_cast<size_t>(reinterpret_cast<const uint8_t*>(&counters.vips) -
                                        reinterpret_cast<const uint8_t*>(&counters)));
  append(counters.vips.get(), counters.vip_count * sizeof(fwd::VipCounters));
  append(counters.backends.get(), counters.backend_count * sizeof(fwd::BackendCounters));
  return values;
}

}  // namespace sluice::test

#endif  // SLUICE_TESTS_SUPPORT_COUNTER_VALUES_H_
