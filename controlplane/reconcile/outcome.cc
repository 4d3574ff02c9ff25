#include "controlplane/reconcile/outcome.h"

#include <algorithm>

#include "dataplane/base/log.h"

namespace sluice::reconcile {

void LogOutcome(std::string_view what, const Outcome& outcome) {
  constexpr size_t kMaxLines = 100;
  for (const model::Alarm& alarm : outcome.alarms) {
    SLUICE_LOG(kWarning) << what << ": " << alarm.object << ": " << alarm.message;
  }
  const size_t count = outcome.changes.size();
  if (count == 0) {
    SLUICE_LOG(kInfo) << what << ": nothing differs, state generation " << outcome.generation << " stays";
    return;
  }
  for (size_t i = 0; i < std::min(count, kMaxLines); ++i) {
    SLUICE_LOG(kInfo) << what << ": " << outcome.changes[i];
  }
  if (count > kMaxLines) {
    SLUICE_LOG(kInfo) << what << ": and " << count - kMaxLines << " more";
  }
  SLUICE_LOG(kInfo) << what << ": " << count << (count == 1 ? " change" : " changes") << ", state generation "
                    << outcome.generation;
}

}  // namespace sluice::reconcile
