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
  thread_.emplace("sluice-serving", kInterval, [this] { service_.SetServingStatus("", serves_()); });
}

}  // namespace sluice::rpc
