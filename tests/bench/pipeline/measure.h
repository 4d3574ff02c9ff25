#ifndef SLUICE_TESTS_BENCH_PIPELINE_MEASURE_H_
#define SLUICE_TESTS_BENCH_PIPELINE_MEASURE_H_

#include <rte_mempool.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/pipeline/scenario.h"

namespace sluice::bench {

// Cycles of the time stamp counter for one packet, over many short windows.
struct Spread {
  double p10 = 0, p50 = 0, p90 = 0;
};
Spread SpreadOf(std::vector<double> values);

struct Result {
  Scenario scenario;
  Spread cycles;     // the pipeline: from the received buffer to the rewritten packet or the drop
  Spread reference;  // allocate a buffer, touch its header, free it: measured between the windows of the same run
  double mpps = 0;   // of one core at the median, by the rate of the time stamp counter
  uint64_t packets = 0;
  uint64_t changes = 0;          // that the worker took up meanwhile
  double cycles_per_change = 0;  // what packets took more behind one, in all; the median
  uint64_t clock_cycles = 0;     // of looking at the clock, for each burst: taken off `cycles` and `reference`
};

// Short enough that on a machine with other work many windows are never interrupted: those make the lower percentiles.
inline constexpr uint32_t kWindowPackets = 1024;

struct MeasureOptions {
  uint32_t windows = 1000;
  uint32_t window_packets = kWindowPackets;
  bool hugepages = false;
};

// Runs one scenario. An error if packets did not end as the scenario means them to: a row that drops what it should
// forward measures nothing. The calling thread should be pinned to a core of its own.
absl::StatusOr<Result> Measure(const Scenario& scenario, const MeasureOptions& options, rte_mempool* buffers);

// Buffers that Measure needs.
inline constexpr uint32_t kBuffers = 16384 - 1;

}  // namespace sluice::bench

#endif  // SLUICE_TESTS_BENCH_PIPELINE_MEASURE_H_
