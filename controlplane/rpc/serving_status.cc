#include "controlplane/rpc/serving_status.h"

#include <algorithm>
#include <chrono>

namespace sluice::rpc {
namespace {

constexpr std::chrono::milliseconds kInterval(500);

bool AllMakeProgress(const fwd::DataplaneView& view) {
  const std::vector<fwd::WorkerStats> workers = view.Workers();
  return !view.ExceptionThreadStalled() &&
         std::none_of(workers.begin(), workers.end(), [](const fwd::WorkerStats& worker) { return worker.stalled; });
}

}  // namespace

ServingStatus::ServingStatus(grpc::HealthCheckServiceInterface& service, const fwd::DataplaneView& view)
    : service_(service), view_(view) {
  service_.SetServingStatus("", AllMakeProgress(view_));
  thread_ = std::thread(&ServingStatus::Run, this);
}

ServingStatus::~ServingStatus() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_one();
  thread_.join();
}

void ServingStatus::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_.wait_for(lock, kInterval, [this] { return stop_; })) {
    service_.SetServingStatus("", AllMakeProgress(view_));
  }
}

}  // namespace sluice::rpc
