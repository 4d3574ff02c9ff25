#ifndef SLUICE_CONTROLPLANE_RPC_INSTANCE_H_
#define SLUICE_CONTROLPLANE_RPC_INSTANCE_H_

#include <chrono>
#include <string>

namespace sluice::rpc {

// What this process says of itself.
struct Instance {
  std::string node;
  std::string version;
  std::chrono::steady_clock::time_point started_at;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_INSTANCE_H_
