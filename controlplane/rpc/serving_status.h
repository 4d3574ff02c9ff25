#ifndef SLUICE_CONTROLPLANE_RPC_SERVING_STATUS_H_
#define SLUICE_CONTROLPLANE_RPC_SERVING_STATUS_H_

#include <grpcpp/health_check_service_interface.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "dataplane/fwd/interfaces.h"

namespace sluice::rpc {

// Keeps what the standard health service (grpc.health.v1) says of the whole server, "", true: SERVING as long as every
// worker and the exception thread make progress, NOT_SERVING otherwise. A thread of its own looks twice a second.
class ServingStatus {
 public:
  // Both must live longer.
  ServingStatus(grpc::HealthCheckServiceInterface& service, const fwd::DataplaneView& view);
  ~ServingStatus();
  ServingStatus(const ServingStatus&) = delete;
  ServingStatus& operator=(const ServingStatus&) = delete;

 private:
  void Run();

  grpc::HealthCheckServiceInterface& service_;
  const fwd::DataplaneView& view_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_SERVING_STATUS_H_
