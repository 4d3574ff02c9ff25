#ifndef SLUICE_CONTROLPLANE_RPC_CALLER_H_
#define SLUICE_CONTROLPLANE_RPC_CALLER_H_

#include <grpcpp/server_context.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "config/schema.h"
#include "controlplane/rpc/access.h"

namespace sluice::rpc {

// Who calls. The Unix socket's permissions have decided already about those who come through it: they are "local" and
// admins; so are those of the loopback interface ("loopback") and of an insecure port ("anonymous"), which the
// configuration had to ask for. Clients with TLS have the role of their certificate's name.
absl::StatusOr<Caller> Identify(const grpc::ServerContext& context, const config::ApiConfig& api);

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_CALLER_H_
