#include "dataplane/lb/flow_state.h"

#include "dataplane/net/headers.h"

namespace sluice::lb {

FlowState FirstState(uint8_t protocol, uint8_t tcp_flags) {
  if (protocol != net::kProtocolTcp) return FlowState::kUdpNew;
  if ((tcp_flags & net::kTcpRst) != 0) return FlowState::kReset;
  if ((tcp_flags & net::kTcpFin) != 0) return FlowState::kClosing;
  return FlowState::kNew;
}

FlowState NextState(FlowState state, uint8_t tcp_flags) {
  if (state == FlowState::kUdpNew || state == FlowState::kUdp) return FlowState::kUdp;
  if ((tcp_flags & net::kTcpRst) != 0) return FlowState::kReset;
  if ((tcp_flags & net::kTcpFin) != 0) return FlowState::kClosing;
  if (net::IsSyn(tcp_flags)) return state;
  // After its FIN a client only acknowledges; data that it pushes shows that the FIN was forged.
  if (state == FlowState::kClosing && (tcp_flags & net::kTcpPsh) == 0) return state;
  return FlowState::kEstablished;
}

FlowState StateAfterReply(FlowState state, uint8_t tcp_flags) {
  if (state == FlowState::kUdpNew || state == FlowState::kUdp) return state;
  if ((tcp_flags & net::kTcpRst) != 0) return FlowState::kReset;
  if ((tcp_flags & net::kTcpFin) != 0 && state == FlowState::kEstablished) return FlowState::kClosing;
  return state;
}

bool BeginsAnew(FlowState state, uint8_t tcp_flags) {
  return net::IsSyn(tcp_flags) && (state == FlowState::kClosing || state == FlowState::kReset);
}

uint32_t TimeoutOf(FlowState state, const FlowTimeouts& timeouts) {
  switch (state) {
    case FlowState::kNew:
      return timeouts.tcp_syn_s;
    case FlowState::kEstablished:
      return timeouts.tcp_established_s;
    case FlowState::kClosing:
      return timeouts.tcp_closing_s;
    case FlowState::kReset:
      return timeouts.tcp_reset_s;
    case FlowState::kUdpNew:
    case FlowState::kUdp:
      return timeouts.udp_s;
    case FlowState::kFree:
      break;
  }
  return 0;
}

}  // namespace sluice::lb
