#ifndef SLUICE_CONTROLPLANE_HEALTH_PLAN_H_
#define SLUICE_CONTROLPLANE_HEALTH_PLAN_H_

#include <vector>

#include "controlplane/health/check_spec.h"
#include "controlplane/model/registry.h"

namespace sluice::health {

// Which checks the pools want. Draining backends and those of weight 0 are checked too: both can come back. Backends of
// pools that no VIP uses are not, unless directly.
std::vector<Wish> PlanChecks(const model::Registry& registry);

}  // namespace sluice::health

#endif  // SLUICE_CONTROLPLANE_HEALTH_PLAN_H_
