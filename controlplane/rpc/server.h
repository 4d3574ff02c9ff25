#ifndef SLUICE_CONTROLPLANE_RPC_SERVER_H_
#define SLUICE_CONTROLPLANE_RPC_SERVER_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "config/schema.h"
#include "controlplane/drain/drain_book.h"
#include "controlplane/model/check_status.h"
#include "controlplane/model/event_bus.h"
#include "controlplane/model/journal.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/rpc/instance.h"
#include "dataplane/fwd/interfaces.h"

// The API's server; without gRPC's headers, which cost seconds to compile.
namespace sluice::rpc {

// What the API is besides the address that it listens on.
struct ServerOptions {
  config::ApiConfig api = {};  // all but `listen`
  config::Management management = config::Management::kMixed;
  // History and events; without them there is none to be had. They must live longer than the server.
  const model::Journal* journal = nullptr;
  model::EventBus* events = nullptr;
  // What the health checks have found; null: there are none.
  const model::CheckStatusSource* checks = nullptr;
  drain::DrainBook* drains = nullptr;
  // Empty: gRPC's health service says SERVING. Null: it does while all workers make progress.
  std::function<std::string()> why_not_serving = nullptr;
};

class Server {
 public:
  // Listens on `listen` ("unix:/path", or "host:port" of the loopback interface; port 0: any). Its threads run on the
  // CPUs of the caller. Everything passed by reference must live longer. Errors: kAlreadyExists when somebody else
  // answers there, kUnavailable when it cannot listen; they name the address and the remedy.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const std::string& listen, const Instance& instance,
                                                       reconcile::Reconciler& reconciler,
                                                       const fwd::DataplaneView& view,
                                                       const ServerOptions& options = {});
  // Stops at once.
  virtual ~Server() = default;

  // Takes no more calls, lets those in progress finish for at most `deadline`, and removes the socket. Idempotent.
  virtual void Stop(std::chrono::milliseconds deadline) = 0;
  // Where clients find it, as they write it.
  virtual const std::string& address() const = 0;
  // The same of api.tcp; empty: it does not listen there.
  virtual const std::string& tcp_address() const = 0;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_SERVER_H_
