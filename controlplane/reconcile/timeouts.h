#ifndef SLUICE_CONTROLPLANE_RECONCILE_TIMEOUTS_H_
#define SLUICE_CONTROLPLANE_RECONCILE_TIMEOUTS_H_

#include "config/schema.h"
#include "dataplane/lb/flow_timeouts.h"

namespace sluice::reconcile {

// What of the node's own part is in its VIPs' entries.
struct NodePart {
  lb::FlowTimeouts timeouts = {};  // of VIPs that do not say otherwise
  uint8_t tier_id = 0;             // for cookies with room for it
};
NodePart ToNodePart(const config::NodeConfig& node);

// The configuration's timeouts in the data plane's words. They must be valid: far below 16 bits.
lb::FlowTimeouts ToFlowTimeouts(const config::TimeoutsConfig& timeouts);

}  // namespace sluice::reconcile

#endif  // SLUICE_CONTROLPLANE_RECONCILE_TIMEOUTS_H_
