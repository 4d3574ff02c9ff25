#ifndef SLUICE_CONTROLPLANE_MODEL_CHECK_STATUS_H_
#define SLUICE_CONTROLPLANE_MODEL_CHECK_STATUS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/health.h"
#include "dataplane/base/ids.h"

// What the checks of a backend have found, for those who show it.
namespace sluice::model {

struct CheckStatus {
  std::string check;  // what is checked
  Health health = Health::kUnchecked;
  std::string reason;                    // of the newest check
  std::chrono::microseconds latency{0};  // of the newest check that passed
  // All checks that passed took this long together.
  std::chrono::microseconds total_latency{0};
  uint64_t passed = 0;
  uint64_t failed = 0;
  uint64_t not_made = 0;  // for reasons that are not the backend's
  uint64_t transitions = 0;
  std::optional<double> load = {};  // what the answers say, smoothed; 1: fully used
};

// Any thread; waits for no check.
class CheckStatusSource {
 public:
  virtual ~CheckStatusSource() = default;
  // Nothing: the backend is not checked.
  virtual std::optional<CheckStatus> StatusOf(BackendId id) const = 0;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_CHECK_STATUS_H_
