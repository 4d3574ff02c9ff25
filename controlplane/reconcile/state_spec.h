#ifndef SLUICE_CONTROLPLANE_RECONCILE_STATE_SPEC_H_
#define SLUICE_CONTROLPLANE_RECONCILE_STATE_SPEC_H_

#include "absl/status/statusor.h"
#include "controlplane/model/registry.h"
#include "controlplane/reconcile/timeouts.h"
#include "dataplane/fwd/state_builder.h"

namespace sluice::reconcile {

// The truth in the data plane's own words. kInvalidArgument: the seed is not 32 hexadecimal digits.
absl::StatusOr<fwd::StateSpec> ToStateSpec(const model::Registry& registry, const NodePart& node);

}  // namespace sluice::reconcile

#endif  // SLUICE_CONTROLPLANE_RECONCILE_STATE_SPEC_H_
