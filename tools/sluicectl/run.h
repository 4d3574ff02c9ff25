#ifndef SLUICE_TOOLS_SLUICECTL_RUN_H_
#define SLUICE_TOOLS_SLUICECTL_RUN_H_

#include "absl/status/status.h"
#include "tools/sluicectl/command.h"

// What the commands do; failure.h says what an error leads to.
namespace sluice::ctl {

absl::Status RunStatus(Invocation& invocation);
absl::Status RunGetVips(Invocation& invocation);
absl::Status RunGetPools(Invocation& invocation);
absl::Status RunGetBackends(Invocation& invocation);
absl::Status RunGetPorts(Invocation& invocation);
absl::Status RunGetWorkers(Invocation& invocation);
absl::Status RunStats(Invocation& invocation);
absl::Status RunTop(Invocation& invocation);
absl::Status RunExplain(Invocation& invocation);
absl::Status RunCompletion(Invocation& invocation);
absl::Status RunApply(Invocation& invocation);
absl::Status RunDiff(Invocation& invocation);
absl::Status RunDescribe(Invocation& invocation);
absl::Status RunHistory(Invocation& invocation);
absl::Status RunRollback(Invocation& invocation);
absl::Status RunExport(Invocation& invocation);
absl::Status RunWatch(Invocation& invocation);
absl::Status RunGetDrains(Invocation& invocation);
absl::Status RunDrainBackend(Invocation& invocation);
absl::Status RunDrainPool(Invocation& invocation);
absl::Status RunDrainNode(Invocation& invocation);
absl::Status RunUndrainBackend(Invocation& invocation);
absl::Status RunUndrainPool(Invocation& invocation);
absl::Status RunUndrainNode(Invocation& invocation);
absl::Status RunUndrainId(Invocation& invocation);
absl::Status RunBackendAdd(Invocation& invocation);
absl::Status RunBackendWeight(Invocation& invocation);
absl::Status RunBackendRemove(Invocation& invocation);
absl::Status RunBackendDrain(Invocation& invocation);
absl::Status RunBackendUndrain(Invocation& invocation);
absl::Status RunBackendDown(Invocation& invocation);
absl::Status RunBackendUp(Invocation& invocation);

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_RUN_H_
