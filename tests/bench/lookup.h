#ifndef SLUICE_TESTS_BENCH_LOOKUP_H_
#define SLUICE_TESTS_BENCH_LOOKUP_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace sluice::lb {

// Looks up flows 0 to `flows` - 1 in random order, each prefetched `ahead` packets before (0: not at all), as the
// packet path does with a burst. `bytes`: of the table, for the report.
template <typename Prefetch, typename Find>
void LookUp(benchmark::State& state, uint32_t flows, size_t ahead, size_t bytes, const Prefetch& prefetch,
            const Find& find) {
  std::mt19937_64 random(3);
  std::vector<uint32_t> order(1 << 16);
  for (auto& i : order) i = static_cast<uint32_t>(random() % flows);
  size_t at = 0;
  for (auto _ : state) {
    if (ahead > 0) prefetch(order[(at + ahead) % order.size()]);
    benchmark::DoNotOptimize(find(order[at++ % order.size()]));
  }
  state.counters["bytes_per_connection"] = static_cast<double>(bytes) / static_cast<double>(flows);
}

// The sizes that tables of connections are compared at.
inline void LookUpSizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"flows", "prefetch_ahead"})
      ->Args({1000, 0})
      ->Args({1000, 16})
      ->Args({100000, 16})
      ->Args({1000000, 0})
      ->Args({1000000, 16})
      ->Args({10000000, 16});
}

}  // namespace sluice::lb

#endif  // SLUICE_TESTS_BENCH_LOOKUP_H_
