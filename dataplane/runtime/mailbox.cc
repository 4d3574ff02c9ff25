#include "dataplane/runtime/mailbox.h"

#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"

namespace sluice::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kDeadline(1);
constexpr std::chrono::microseconds kLookInterval(200);

absl::Status NoAnswer(const Worker& worker) {
  return absl::UnavailableError(absl::StrCat("worker ", worker.id().value(), " on CPU ", worker.cpu(),
                                             " did not answer within ", kDeadline.count(),
                                             " s; `sluicectl get workers` shows whether it is stalled"));
}

}  // namespace

absl::StatusOr<std::vector<fwd::FlowFinding>> Mailbox::LookUpFlow(const fwd::FlowQuestion& question) {
  const Clock::time_point deadline = Clock::now() + kDeadline;
  const std::unique_lock lock(mutex_, deadline);
  if (!lock.owns_lock()) return absl::UnavailableError("workers are busy with others' questions; try again");
  const auto give_up = [this](const Worker& silent) {
    for (const auto& worker : workers_) worker->mail().GiveUp();
    return NoAnswer(silent);
  };
  for (const auto& worker : workers_) {
    if (!worker->mail().Ask(question)) return give_up(*worker);
    worker->Wake();
  }
  std::vector<fwd::FlowFinding> findings(workers_.size());
  for (size_t i = 0; i < workers_.size(); ++i) {
    while (!workers_[i]->mail().TakeAnswer(&findings[i])) {
      if (Clock::now() < deadline) {
        std::this_thread::sleep_for(kLookInterval);
        continue;
      }
      return give_up(*workers_[i]);
    }
  }
  return findings;
}

}  // namespace sluice::runtime
