#ifndef SLUICE_CONTROLPLANE_RPC_LISTEN_ADDRESS_H_
#define SLUICE_CONTROLPLANE_RPC_LISTEN_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace sluice::rpc {

// The path of "unix:/path"; empty for other addresses.
std::string_view UnixPath(std::string_view address);

// Makes the way free for a server on a Unix socket: creates the directory (mode 0755) and removes a socket that a dead
// process left. kAlreadyExists: a live server answers there, or something that is no socket has the name. Errors name
// the path and the remedy.
absl::Status PrepareUnixSocket(const std::string& path);

// A TCP address must be that of the loopback interface: the API has no authentication of its own.
absl::Status CheckLoopback(std::string_view address);

// One or the other, as `address` asks for. Also useful before anything else is started.
absl::Status PrepareToListen(const std::string& address);

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_LISTEN_ADDRESS_H_
