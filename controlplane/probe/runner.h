#ifndef SLUICE_CONTROLPLANE_PROBE_RUNNER_H_
#define SLUICE_CONTROLPLANE_PROBE_RUNNER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/health/check_spec.h"
#include "controlplane/model/check_status.h"
#include "controlplane/model/health.h"
#include "controlplane/probe/way.h"

namespace sluice::probe {

// The thread that makes all probes; it runs on the CPUs of who starts it.
class Runner : public model::CheckStatusSource {
 public:
  // `seed` decides when checks fall; programs are those of `command_directory`. `ways` and `sink` must live longer, and
  // are called by the thread.
  static absl::StatusOr<std::unique_ptr<Runner>> Start(uint64_t seed, const std::string& command_directory, Ways& ways,
                                                       model::HealthSink& sink);

  // What is to be checked from now on. Any thread.
  virtual void Configure(std::vector<health::Wish> wishes) = 0;
  // Ends all probes and the thread. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_RUNNER_H_
