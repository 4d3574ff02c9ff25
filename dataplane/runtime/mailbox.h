#ifndef SLUICE_DATAPLANE_RUNTIME_MAILBOX_H_
#define SLUICE_DATAPLANE_RUNTIME_MAILBOX_H_

#include <memory>
#include <mutex>
#include <vector>

#include "dataplane/fwd/worker_mailbox.h"
#include "dataplane/runtime/worker.h"

namespace sluice::runtime {

// Asks the workers, which outlive it.
class Mailbox final : public fwd::WorkerMailbox {
 public:
  explicit Mailbox(const std::vector<std::unique_ptr<Worker>>& workers) : workers_(workers) {}
  absl::StatusOr<std::vector<fwd::FlowFinding>> LookUpFlow(const fwd::FlowQuestion& question) override;

 private:
  std::timed_mutex mutex_;  // one question at a time
  const std::vector<std::unique_ptr<Worker>>& workers_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_MAILBOX_H_
