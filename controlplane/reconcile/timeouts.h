#ifndef SLUICE_CONTROLPLANE_RECONCILE_TIMEOUTS_H_
#define SLUICE_CONTROLPLANE_RECONCILE_TIMEOUTS_H_

#include "config/schema.h"
#include "dataplane/lb/flow_timeouts.h"

namespace sluice::reconcile {

// The configuration's timeouts in the data plane's words. They must be valid: far below 16 bits.
lb::FlowTimeouts ToFlowTimeouts(const config::TimeoutsConfig& timeouts);

}  // namespace sluice::reconcile

#endif  // SLUICE_CONTROLPLANE_RECONCILE_TIMEOUTS_H_
