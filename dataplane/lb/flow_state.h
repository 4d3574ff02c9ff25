#ifndef SLUICE_DATAPLANE_LB_FLOW_STATE_H_
#define SLUICE_DATAPLANE_LB_FLOW_STATE_H_

#include <cstdint>

#include "dataplane/lb/flow_timeouts.h"
#include "dataplane/net/headers.h"

namespace sluice::lb {

// What the director knows of a connection from the client's packets alone; with direct server return it sees no others.
// Fits three bits.
enum class FlowState : uint8_t {
  kFree = 0,         // the entry is not in use
  kNew = 1,          // TCP: only SYNs seen, or a single packet: nothing shows yet that anyone is there
  kEstablished = 2,  // TCP: something after that
  kClosing = 3,      // TCP: the client sent FIN; it may still acknowledge data for as long as it likes
  kReset = 4,        // TCP: the client sent RST, unless it was forged
  kUdpNew = 5,       // UDP: a single packet seen
  kUdp = 6,          // UDP: more than one
};

// A SYN that is no answer to one.
constexpr bool IsSyn(uint8_t tcp_flags) {
  return (tcp_flags & (net::kTcpSyn | net::kTcpAck | net::kTcpRst)) == net::kTcpSyn;
}

// A flow that a single spoofed packet can make. These have a limit of their own in the table, so that a flood of them
// cannot take the room of real connections.
constexpr bool IsUnconfirmed(FlowState state) { return state == FlowState::kNew || state == FlowState::kUdpNew; }

// The state of a flow after its first packet.
FlowState FirstState(uint8_t protocol, uint8_t tcp_flags);

// The state after another packet of the client. An RST or FIN is not believed for good, because anyone can forge one: a
// later packet that is neither RST nor SYN brings the connection back, after a FIN one that pushes data.
// Asked about every packet of a tracked flow, so it is inline.
inline FlowState NextState(FlowState state, uint8_t tcp_flags) {
  if (state == FlowState::kUdpNew || state == FlowState::kUdp) return FlowState::kUdp;
  if ((tcp_flags & net::kTcpRst) != 0) return FlowState::kReset;
  if ((tcp_flags & net::kTcpFin) != 0) return FlowState::kClosing;
  if (IsSyn(tcp_flags)) return state;
  // After its FIN a client only acknowledges; data that it pushes shows that the FIN was forged.
  if (state == FlowState::kClosing && (tcp_flags & net::kTcpPsh) == 0) return state;
  return FlowState::kEstablished;
}

// The state after a packet of the backend, where the director sees those too. None makes an unconfirmed flow a
// confirmed one, because a backend answers forged packets as well.
FlowState StateAfterReply(FlowState state, uint8_t tcp_flags);

// True for a SYN that begins a new connection on a tuple whose old one is over. A SYN on a living connection does not:
// it is a retransmission, or forged.
inline bool BeginsAnew(FlowState state, uint8_t tcp_flags) {
  return IsSyn(tcp_flags) && (state == FlowState::kClosing || state == FlowState::kReset);
}

// Seconds without a packet after which an entry in this state ends.
uint32_t TimeoutOf(FlowState state, const FlowTimeouts& timeouts);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_FLOW_STATE_H_
