#ifndef SLUICE_CONTROLPLANE_RECONCILE_OUTCOME_H_
#define SLUICE_CONTROLPLANE_RECONCILE_OUTCOME_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/model/pool_service.h"
#include "controlplane/reconcile/impact.h"

namespace sluice::reconcile {

// What became of a change.
struct Outcome {
  // The generation that shows it.
  uint64_t generation = 0;
  std::vector<std::string> changes;
  // Of the desired state; of a preview that in force.
  uint64_t version = 0;
  Impact impact;
  // Of pools that now are served by others than before.
  std::vector<model::Alarm> alarms;
};

// Tells the log, each line after `what`; of very many changes the first ones only.
void LogOutcome(std::string_view what, const Outcome& outcome);

}  // namespace sluice::reconcile

#endif  // SLUICE_CONTROLPLANE_RECONCILE_OUTCOME_H_
