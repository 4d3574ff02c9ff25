#include "controlplane/health/check_state.h"

namespace sluice::health {
namespace {

// What a new report counts for.
constexpr double kLoadSmoothing = 0.3;

}  // namespace

using model::Health;

bool CheckState::Observe(const ProbeResult& result, std::chrono::microseconds latency, uint32_t rise, uint32_t fall) {
  reason_ = result.reason;
  if (result.kind == ProbeResult::Kind::kPassed) {
    const bool goes_on = result.load && load_;
    load_ = goes_on ? *load_ + kLoadSmoothing * (*result.load - *load_) : result.load;
  }
  switch (result.kind) {
    case ProbeResult::Kind::kNotMade:
      ++counts_.not_made;
      return false;
    case ProbeResult::Kind::kPassed:
      ++counts_.passed;
      counts_.latency = latency;
      counts_.total_latency += latency;
      if (health_ == Health::kUnchecked) return Become(Health::kUp);
      if (health_ == Health::kUp) {
        streak_ = 0;
        return false;
      }
      return ++streak_ >= rise && Become(Health::kUp);
    case ProbeResult::Kind::kFailed:
      ++counts_.failed;
      if (health_ == Health::kDown) {
        streak_ = 0;
        return false;
      }
      return ++streak_ >= fall && Become(Health::kDown);
  }
  return false;
}

void CheckState::Inherit(const CheckState& from) {
  *this = from;
  streak_ = 0;
}

bool CheckState::Become(Health health) {
  health_ = health;
  streak_ = 0;
  ++counts_.transitions;
  return true;
}

}  // namespace sluice::health
