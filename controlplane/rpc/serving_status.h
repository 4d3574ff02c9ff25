#ifndef SLUICE_CONTROLPLANE_RPC_SERVING_STATUS_H_
#define SLUICE_CONTROLPLANE_RPC_SERVING_STATUS_H_

#include <grpcpp/health_check_service_interface.h>

#include <functional>
#include <optional>

#include "dataplane/base/periodic_thread.h"

namespace sluice::rpc {

// Keeps what the standard health service (grpc.health.v1) says of the whole server, "", true: SERVING or NOT_SERVING.
// A thread of its own looks twice a second.
class ServingStatus {
 public:
  // The service must live longer.
  ServingStatus(grpc::HealthCheckServiceInterface& service, std::function<bool()> serves);
  ServingStatus(const ServingStatus&) = delete;
  ServingStatus& operator=(const ServingStatus&) = delete;

 private:
  grpc::HealthCheckServiceInterface& service_;
  const std::function<bool()> serves_;
  std::optional<PeriodicThread> thread_;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_SERVING_STATUS_H_
