#ifndef SLUICE_DATAPLANE_FWD_WORKER_MAILBOX_H_
#define SLUICE_DATAPLANE_FWD_WORKER_MAILBOX_H_

#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/fwd/flow_lookup.h"

namespace sluice::fwd {

// Questions that only a worker can answer, because it alone may touch its tables. The third of the interfaces by which
// the control plane knows the data plane, beside those of interfaces.h.
class WorkerMailbox {
 public:
  virtual ~WorkerMailbox() = default;
  // What each worker knows of a flow, by WorkerId. A worker answers one question in a millisecond at most, between two
  // bursts, so that no number of questions can hold it up; callers wait for each other. kUnavailable: within a second
  // it was not the caller's turn, or a worker did not answer, which is named. Any thread but a worker's.
  virtual absl::StatusOr<std::vector<FlowFinding>> LookUpFlow(const FlowQuestion& question) = 0;
};

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_WORKER_MAILBOX_H_
