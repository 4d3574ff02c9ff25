#ifndef SLUICE_TOOLS_SIM_WORKLOAD_H_
#define SLUICE_TOOLS_SIM_WORKLOAD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tools/sim/random.h"

// The standard churn workload, which papers on load balancers measure with: section 2 of Cheetah (Barbette et al., NSDI
// 2020), with the distributions of a large web service's connections and of its servers' down times.
namespace sluice::sim {

// A distribution of discrete values: `share` is the part of all draws up to and with this row.
struct Quantile {
  double share;
  double seconds;
};

inline constexpr std::array<Quantile, 14> kDurations = {{{.293, .001},
                                                         {.378, .002},
                                                         {.406, .003},
                                                         {.452, .0089},
                                                         {.476, .0255},
                                                         {.502, .310},
                                                         {.548, 10.28},
                                                         {.760, 10.44},
                                                         {.899, 22.9},
                                                         {.928, 36.4},
                                                         {.948, 100.7},
                                                         {.958, 214},
                                                         {.998, 228},
                                                         {1, 603}}};

inline constexpr std::array<Quantile, 11> kDownTimes = {{{.0068, 60},
                                                         {.043, 121},
                                                         {.215, 131},
                                                         {.387, 141},
                                                         {.559, 153},
                                                         {.730, 166},
                                                         {.902, 179},
                                                         {.966, 305},
                                                         {.982, 672},
                                                         {.998, 20534},
                                                         {1, 567076}}};

// The row that a random number in [0, 1) falls into.
template <size_t N>
size_t DrawRow(const std::array<Quantile, N>& rows, double fraction) {
  size_t row = 0;
  while (row + 1 < N && fraction >= rows[row].share) ++row;
  return row;
}

template <size_t N>
constexpr double Mean(const std::array<Quantile, N>& rows) {
  double mean = 0;
  double before = 0;
  for (const Quantile& row : rows) {
    mean += (row.share - before) * row.seconds;
    before = row.share;
  }
  return mean;
}

// One step of a plan: a server or a director goes or comes, or all connections begin.
struct PlannedChange {
  enum class What : uint8_t { kServer, kDirector, kOpen } what = What::kOpen;
  uint32_t machine = 0;  // from 0
  bool up = false;
};

struct WorkloadOptions {
  uint64_t seed = 1;
  double seconds = 1000;
  uint32_t servers = 468;
  uint32_t connections = 70000;   // at a time, on average
  double updates_per_min = 15.6;  // each takes a random server down, unless it is down already
  uint32_t directors = 4;
  double director_updates_per_min = 0;  // each ends a random director, unless it is the last one
  double director_down_s = 60;          // mean of an exponential distribution; it comes back with empty tables
  double no_timestamps = 0.1;           // share of clients whose packets carry no timestamps, so no cookies
  // What changes, in place of random changes: connections neither come nor end, and all send after each step. Has one
  // kOpen, before which there are none.
  std::vector<PlannedChange> plan = {};
};

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_WORKLOAD_H_
