#ifndef SLUICE_CONTROLPLANE_RPC_INSTANCE_H_
#define SLUICE_CONTROLPLANE_RPC_INSTANCE_H_

#include <chrono>
#include <string>

#include "controlplane/model/call_stats.h"
#include "dataplane/fwd/worker_mailbox.h"

namespace sluice::rpc {

// What this process says of itself.
struct Instance {
  std::string node;
  std::string version;
  std::chrono::steady_clock::time_point started_at;
  model::CallStats* calls = nullptr;      // where calls are counted; null: nowhere
  fwd::WorkerMailbox* mailbox = nullptr;  // whom ExplainFlow asks; null: nobody
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_INSTANCE_H_
