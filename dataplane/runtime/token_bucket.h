#ifndef SLUICE_DATAPLANE_RUNTIME_TOKEN_BUCKET_H_
#define SLUICE_DATAPLANE_RUNTIME_TOKEN_BUCKET_H_

#include <algorithm>
#include <cstdint>

namespace sluice::runtime {

// Lets `rate_per_s` things a second pass, and at most `burst` at once. One thread; the caller brings the clock, which
// does not go back.
class TokenBucket {
 public:
  TokenBucket(uint64_t rate_per_s, uint64_t burst, uint64_t now_ns)
      : rate_per_s_(rate_per_s), full_(burst * kUnit), level_(full_), last_ns_(now_ns) {}

  // How many of `wanted` may pass now; they are taken.
  uint64_t Take(uint64_t wanted, uint64_t now_ns) {
    // One token is kUnit parts, so that a rate of r a second adds r parts a nanosecond: no rounding, nothing is lost
    // however often it is called. Times beyond a full bucket are cut first, which also keeps the product in range.
    const uint64_t elapsed_ns = std::min(now_ns - last_ns_, kMaxElapsedNs);
    last_ns_ = now_ns;
    level_ = std::min(full_, level_ + elapsed_ns * rate_per_s_);
    const uint64_t taken = std::min(wanted, level_ / kUnit);
    level_ -= taken * kUnit;
    return taken;
  }

 private:
  static constexpr uint64_t kUnit = 1'000'000'000;
  static constexpr uint64_t kMaxElapsedNs = 1'000'000'000;

  const uint64_t rate_per_s_;
  const uint64_t full_;
  uint64_t level_;
  uint64_t last_ns_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_TOKEN_BUCKET_H_
