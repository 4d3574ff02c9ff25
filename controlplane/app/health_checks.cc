#include "controlplane/app/health_checks.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "controlplane/health/plan.h"

namespace sluice::app {
namespace {

// How soon checks follow a change of the desired state. Nobody has to tell: looking costs a few pointers.
constexpr std::chrono::milliseconds kFollowInterval(50);

}  // namespace

absl::Status HealthChecks::Open() {
  auto runner = probe::Runner::Start(seed_, command_directory_, ways_, sink_);
  if (!runner.ok()) return runner.status();
  runner_ = *std::move(runner);
  return absl::OkStatus();
}

void HealthChecks::Start() {
  FollowState();
  thread_.emplace("sluice-health", kFollowInterval, [this] { FollowState(); });
}

void HealthChecks::Stop() {
  if (runner_ != nullptr) runner_->Stop();
  thread_.reset();
}

void HealthChecks::FollowState() {
  const model::Snapshot now = source_.Current();
  if (now.registry == nullptr || now.generation == generation_) return;
  generation_ = now.generation;
  std::vector<health::Wish> wishes = health::PlanChecks(*now.registry);
  const auto same = [](const health::Wish& a, const health::Wish& b) {
    return a.subscriber == b.subscriber && a.spec == b.spec;
  };
  if (std::equal(wishes.begin(), wishes.end(), planned_.begin(), planned_.end(), same)) return;
  planned_ = wishes;
  runner_->Configure(std::move(wishes));
}

}  // namespace sluice::app
