#ifndef SLUICE_CONTROLPLANE_HEALTH_CHECK_STATE_H_
#define SLUICE_CONTROLPLANE_HEALTH_CHECK_STATE_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/health/prober.h"
#include "controlplane/model/health.h"

namespace sluice::health {

// What a row of results means. A backend that was never checked is up after its first passed check, because it is used
// already, and down after `fall` failed ones, because one lost packet at the start of a director must not take all of
// its backends away. Later it takes `rise` and `fall` of a row.
class CheckState {
 public:
  // True when health changed.
  bool Observe(const ProbeResult& result, std::chrono::microseconds latency, uint32_t rise, uint32_t fall);
  // What is known of a backend stays when its check is another one from now on.
  void Inherit(const CheckState& from);

  // Results and health differ, or nothing is known: look more often.
  bool changing() const { return streak_ > 0 || health_ == model::Health::kUnchecked; }
  model::Health health() const { return health_; }
  const std::string& reason() const { return reason_; }

  struct Counts {
    uint64_t passed = 0, failed = 0, not_made = 0, transitions = 0;
    std::chrono::microseconds latency{0}, total_latency{0};
  };
  // Smoothed, of the checks that passed of late; nothing: the newest said none.
  std::optional<double> load() const { return load_; }
  const Counts& counts() const { return counts_; }

 private:
  bool Become(model::Health health);

  model::Health health_ = model::Health::kUnchecked;
  uint32_t streak_ = 0;  // results in a row that speak against `health_`
  std::string reason_ = "not checked yet";
  Counts counts_;
  std::optional<double> load_;
};

}  // namespace sluice::health

#endif  // SLUICE_CONTROLPLANE_HEALTH_CHECK_STATE_H_
