#ifndef SLUICE_CONTROLPLANE_RPC_CALL_TIMER_H_
#define SLUICE_CONTROLPLANE_RPC_CALL_TIMER_H_

#include <grpcpp/support/server_interceptor.h>

#include "controlplane/model/call_stats.h"

namespace sluice::rpc {

// Counts and times every unary call of our services, by method and code; streams are counted under neither.
class CallTimerFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // `stats` must live longer than the server.
  explicit CallTimerFactory(model::CallStats& stats) : stats_(stats) {}
  // Null for calls that are not timed.
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override;

 private:
  model::CallStats& stats_;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_CALL_TIMER_H_
