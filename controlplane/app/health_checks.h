#ifndef SLUICE_CONTROLPLANE_APP_HEALTH_CHECKS_H_
#define SLUICE_CONTROLPLANE_APP_HEALTH_CHECKS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "controlplane/model/check_status.h"
#include "controlplane/model/health.h"
#include "controlplane/model/snapshot.h"
#include "controlplane/probe/runner.h"
#include "controlplane/probe/way.h"
#include "dataplane/base/periodic_thread.h"

namespace sluice::app {

// Keeps the checks at what the desired state says of them.
class HealthChecks final : public model::CheckStatusSource {
 public:
  // All but the directory of programs must live longer. `seed` decides when checks fall.
  HealthChecks(uint64_t seed, std::string command_directory, const model::SnapshotSource& source, probe::Ways& ways,
               model::HealthSink& sink)
      : seed_(seed), command_directory_(std::move(command_directory)), source_(source), ways_(ways), sink_(sink) {}
  ~HealthChecks() override { Stop(); }

  // Before anybody asks for a status; nothing is probed yet.
  absl::Status Open();
  void Start();
  // Idempotent.
  void Stop();
  std::optional<model::CheckStatus> StatusOf(BackendId id) const override {
    return runner_ == nullptr ? std::nullopt : runner_->StatusOf(id);
  }

 private:
  void FollowState();

  const uint64_t seed_;
  const std::string command_directory_;
  const model::SnapshotSource& source_;
  probe::Ways& ways_;
  model::HealthSink& sink_;
  std::unique_ptr<probe::Runner> runner_;
  uint64_t generation_ = 0;  // of the state that checks were last planned for
  std::vector<health::Wish> planned_;
  std::optional<PeriodicThread> thread_;
};

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_HEALTH_CHECKS_H_
