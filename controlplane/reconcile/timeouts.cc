#include "controlplane/reconcile/timeouts.h"

#include <cstdint>

namespace sluice::reconcile {

lb::FlowTimeouts ToFlowTimeouts(const config::TimeoutsConfig& timeouts) {
  return {.tcp_syn_s = static_cast<uint16_t>(timeouts.tcp_syn_s),
          .tcp_established_s = static_cast<uint16_t>(timeouts.tcp_established_s),
          .tcp_closing_s = static_cast<uint16_t>(timeouts.tcp_closing_s),
          .tcp_reset_s = static_cast<uint16_t>(timeouts.tcp_reset_s),
          .udp_s = static_cast<uint16_t>(timeouts.udp_s)};
}

NodePart ToNodePart(const config::NodeConfig& node) {
  return {.timeouts = ToFlowTimeouts(node.timeouts), .tier_id = static_cast<uint8_t>(node.tier_id.value_or(0))};
}

}  // namespace sluice::reconcile
