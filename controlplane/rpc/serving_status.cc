#include "controlplane/rpc/serving_status.h"

#include <chrono>
#include <utility>

namespace sluice::rpc {
namespace {

constexpr std::chrono::milliseconds kInterval(500);

}  // namespace

ServingStatus::ServingStatus(grpc::HealthCheckServiceInterface& service, std::function<bool()> serves)
    : service_(service), serves_(std::move(serves)) {
  service_.SetServingStatus("", serves_());
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
    service_.SetServingStatus("", serves_());
  }
}

}  // namespace sluice::rpc
