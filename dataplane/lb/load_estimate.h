#ifndef SLUICE_DATAPLANE_LB_LOAD_ESTIMATE_H_
#define SLUICE_DATAPLANE_LB_LOAD_ESTIMATE_H_

#include <algorithm>
#include <cstdint>

namespace sluice::lb {

// How many connections a backend has of those that nobody keeps: begun, less those whose end was seen. Ends that nobody
// sees (a client that is gone, one that came by another director) would add up, so what is counted fades by an eighth
// every 64 s, half of it in six minutes. One writer.
class LoadEstimate {
 public:
  // A connection counts as this much.
  static constexpr uint32_t kOne = 256;

  void Begin(uint32_t now_s) { value_ = std::min(Faded(now_s), kMost) + kOne; }
  // Whoever says that something ended that had not begun makes nobody less loaded than one that has nothing.
  void End(uint32_t now_s) {
    const uint32_t value = Faded(now_s);
    value_ = value > kOne ? value - kOne : 0;
  }
  uint32_t Value(uint32_t now_s) const {
    uint32_t value = value_;
    // Whole periods since it was last written; after these many nothing is left of any value.
    const uint32_t periods = std::min<uint32_t>((now_s >> kPeriodBits) - period_, kLongest);
    for (uint32_t i = 0; i < periods && value != 0; ++i) value -= (value + 7) / 8;
    return value;
  }

 private:
  static constexpr uint32_t kPeriodBits = 6;
  static constexpr uint32_t kLongest = 256;
  static constexpr uint32_t kMost = UINT32_MAX - kOne;

  uint32_t Faded(uint32_t now_s) {
    const uint32_t value = Value(now_s);
    period_ = now_s >> kPeriodBits;
    return value;
  }

  uint32_t value_ = 0;
  uint32_t period_ = 0;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_LOAD_ESTIMATE_H_
