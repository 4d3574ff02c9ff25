#ifndef SLUICE_CONTROLPLANE_RPC_SERVING_STATUS_H_
#define SLUICE_CONTROLPLANE_RPC_SERVING_STATUS_H_

#include <grpcpp/health_check_service_interface.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace sluice::rpc {

// Keeps what the standard health service (grpc.health.v1) says of the whole server, "", true: SERVING or NOT_SERVING.
// A thread of its own looks twice a second.
class ServingStatus {
 public:
  // The service must live longer.
  ServingStatus(grpc::HealthCheckServiceInterface& service, std::function<bool()> serves);
  ~ServingStatus();
  ServingStatus(const ServingStatus&) = delete;
  ServingStatus& operator=(const ServingStatus&) = delete;

 private:
  void Run();

  grpc::HealthCheckServiceInterface& service_;
  const std::function<bool()> serves_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_SERVING_STATUS_H_
