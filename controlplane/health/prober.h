#ifndef SLUICE_CONTROLPLANE_HEALTH_PROBER_H_
#define SLUICE_CONTROLPLANE_HEALTH_PROBER_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/health/check_spec.h"

// The cut between when to probe, which is pure, and how, which is I/O.
namespace sluice::health {

using Time = std::chrono::steady_clock::time_point;
using ProbeId = uint64_t;

struct ProbeResult {
  enum class Kind : uint8_t {
    kPassed,
    kFailed,
    // The probe could not be made, for a reason that is not the backend's: it says nothing of it.
    kNotMade,
  };
  Kind kind = Kind::kPassed;
  // For an operator: "connect to 192.0.2.11:80: refused", "HTTP status 503, wanted 200-299".
  std::string reason;
  // What the answer says of the backend's load; 1: fully used.
  std::optional<double> load = {};
};

class ProbeSink {
 public:
  virtual ~ProbeSink() = default;
  // The end of a probe; not of one that was cancelled. May be called from within Prober::Start.
  virtual void Done(ProbeId id, ProbeResult result) = 0;
};

// One thread.
class Prober {
 public:
  virtual ~Prober() = default;
  // `spec` stays until the probe is done or cancelled.
  virtual void Start(ProbeId id, const CheckSpec& spec) = 0;
  // Ends a probe; it is not Done afterwards. Returns what it was waiting for: "connect to 192.0.2.11:80".
  virtual std::string Cancel(ProbeId id) = 0;
};

}  // namespace sluice::health

#endif  // SLUICE_CONTROLPLANE_HEALTH_PROBER_H_
