#ifndef SLUICE_CONTROLPLANE_RPC_SERVER_H_
#define SLUICE_CONTROLPLANE_RPC_SERVER_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/rpc/instance.h"
#include "dataplane/fwd/interfaces.h"

// The API's server; without gRPC's headers, which cost seconds to compile.
namespace sluice::rpc {

class Server {
 public:
  // Listens on `listen` ("unix:/path", or "host:port" of the loopback interface; port 0: any). Its threads run on the
  // CPUs of the caller. Everything passed by reference must live longer. Errors: kAlreadyExists when somebody else
  // answers there, kUnavailable when it cannot listen; they name the address and the remedy.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const std::string& listen, const Instance& instance,
                                                       reconcile::Reconciler& reconciler,
                                                       const fwd::DataplaneView& view);
  // Stops at once.
  virtual ~Server() = default;

  // Takes no more calls, lets those in progress finish for at most `deadline`, and removes the socket. Idempotent.
  virtual void Stop(std::chrono::milliseconds deadline) = 0;
  // Where clients find it, as they write it.
  virtual const std::string& address() const = 0;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_SERVER_H_
