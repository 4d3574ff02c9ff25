#ifndef SLUICE_CONTROLPLANE_MODEL_LATENCY_H_
#define SLUICE_CONTROLPLANE_MODEL_LATENCY_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice::model {

// How long something took, each time, in classes that suit the control plane: from a fraction of the 10 ms within which
// a change is to be live, to the seconds that somebody notices.
struct LatencyHistogram {
  static constexpr std::array<double, 12> kUpToSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                          0.05,   0.1,   0.25,   0.5,   1,    5};

  void Observe(std::chrono::nanoseconds time) {
    const double seconds = std::chrono::duration<double>(time).count();
    const auto bound = std::lower_bound(kUpToSeconds.begin(), kUpToSeconds.end(), seconds);
    ++counts[static_cast<size_t>(bound - kUpToSeconds.begin())];
    total += time;
  }

  uint64_t count() const {
    uint64_t sum = 0;
    for (const uint64_t n : counts) sum += n;
    return sum;
  }

  // By class; the last one is of what took longer than all bounds.
  std::array<uint64_t, kUpToSeconds.size() + 1> counts{};
  std::chrono::nanoseconds total{0};
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_LATENCY_H_
