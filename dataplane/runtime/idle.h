#ifndef SLUICE_DATAPLANE_RUNTIME_IDLE_H_
#define SLUICE_DATAPLANE_RUNTIME_IDLE_H_

#include <algorithm>
#include <cstdint>

#include "dataplane/runtime/options.h"

namespace sluice::runtime {

// When an idle worker sleeps, and for how long. Pure: the caller brings the clock and does the sleeping.
//
// With kAdaptive: after the last packet the worker polls on for kSpinNs, because packets come in trains; then it sleeps
// kFirstNapNs, and twice as long each time nothing had come, up to `max_nap_ns`. A packet ends the growth, and costs
// at most one nap of delay.
class IdlePolicy {
 public:
  static constexpr uint64_t kSpinNs = 20'000;
  static constexpr uint64_t kFirstNapNs = 10'000;
  // Without receive interrupts nothing ends a nap early: half a millisecond is the delay that an idle port may cost.
  static constexpr uint64_t kMaxNapNs = 500'000;
  // With them a sleep ends when a packet comes; the limit is for the worker's housekeeping, and bounds the delay should
  // a driver lose an interrupt.
  static constexpr uint64_t kMaxInterruptSleepNs = 2'000'000;

  IdlePolicy(IdleMode mode, uint64_t max_nap_ns) : mode_(mode), max_nap_ns_(max_nap_ns) {}

  // After each round of polling: how long to sleep now; 0: poll on.
  uint64_t AfterRound(bool had_work, uint64_t now_ns) {
    if (mode_ == IdleMode::kPoll) return 0;
    if (had_work) {
      last_work_ns_ = now_ns;
      next_nap_ns_ = kFirstNapNs;
      return 0;
    }
    if (now_ns - last_work_ns_ < kSpinNs) return 0;
    const uint64_t nap_ns = next_nap_ns_;
    next_nap_ns_ = std::min(next_nap_ns_ * 2, max_nap_ns_);
    return nap_ns;
  }

 private:
  IdleMode mode_;
  uint64_t max_nap_ns_;
  uint64_t last_work_ns_ = 0;
  uint64_t next_nap_ns_ = kFirstNapNs;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_IDLE_H_
