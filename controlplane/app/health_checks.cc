#include "controlplane/app/health_checks.h"

#include <pthread.h>

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
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "sluice-health");
}

void HealthChecks::Stop() {
  if (runner_ != nullptr) runner_->Stop();
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_all();
  thread_.join();
}

void HealthChecks::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    FollowState();
    lock.lock();
    stopping_.wait_for(lock, kFollowInterval, [this] { return stop_; });
  }
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
