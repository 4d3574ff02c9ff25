#include "dataplane/lb/nat_state.h"

#include <algorithm>

#include "dataplane/net/headers.h"

namespace sluice::lb {
namespace {

bool Has(const NatSegment& segment, uint8_t flag) { return (segment.flags & flag) != 0; }

// A forged packet hits a window of this size by chance once in 65 536 times. Segments of a real connection that lie
// farther apart only make a session live longer than it could.
constexpr uint32_t kPlausible = 65536;

bool IsNear(uint32_t number, uint32_t last) { return number - last + 1 <= kPlausible; }

bool IsReset(NatState state) { return state == NatState::kClientReset || state == NatState::kBackendReset; }

void Touch(NatTracking& tracking, uint32_t now_s) {
  // The line is written once a second and at a change.
  if (tracking.last_seen_s != now_s) tracking.last_seen_s = now_s;
}

void NoteFin(NatTracking& tracking, NatState own_closing, NatState other_closing) {
  if (tracking.state == other_closing) {
    tracking.state = NatState::kClosed;
  } else if (tracking.state != NatState::kClosed) {
    tracking.state = own_closing;
  }
}

// What proves that the client is where its packets say that it is.
bool Confirms(const NatTracking& tracking, const NatSegment& segment) {
  if (!tracking.answered || !Has(segment, net::kTcpAck) || Has(segment, net::kTcpRst)) return false;
  if (!tracking.isn_known) return true;  // in the middle of a connection there is nothing to compare with
  const uint32_t beyond_syn = segment.acknowledgement - (tracking.client_ack + 1);
  return beyond_syn < kPlausible;
}

}  // namespace

void BeginTcp(NatTracking& tracking, const NatSegment& segment, uint32_t now_s) {
  tracking = NatTracking();
  tracking.protocol = net::kProtocolTcp;
  tracking.last_seen_s = now_s;
  tracking.client_ack = segment.acknowledgement;
  tracking.backend_ack = segment.sequence;
  if (Has(segment, net::kTcpSyn) && !Has(segment, net::kTcpAck)) {
    tracking.state = NatState::kSynSent;
    tracking.isn_known = true;
    tracking.client_isn = segment.sequence;
    tracking.backend_ack = segment.sequence + 1;
  } else {
    tracking.state = Has(segment, net::kTcpFin) ? NatState::kClientClosing : NatState::kEstablished;
  }
}

void BeginUdp(NatTracking& tracking, uint32_t now_s) {
  tracking = NatTracking();
  tracking.state = NatState::kUdp;
  tracking.protocol = net::kProtocolUdp;
  tracking.last_seen_s = now_s;
}

void NoteClientSegment(NatTracking& tracking, const NatSegment& segment, uint32_t now_s) {
  Touch(tracking, now_s);
  if (Has(segment, net::kTcpRst)) {
    if (IsNear(segment.sequence, tracking.backend_ack)) tracking.state = NatState::kClientReset;
    return;
  }
  if (Has(segment, net::kTcpSyn)) return;
  if (!tracking.confirmed && Confirms(tracking, segment)) tracking.confirmed = true;
  const bool counts = tracking.confirmed || !tracking.isn_known;
  if (counts && Has(segment, net::kTcpAck) && tracking.client_ack != segment.acknowledgement) {
    tracking.client_ack = segment.acknowledgement;
  }
  if (tracking.state == NatState::kClientReset) tracking.state = NatState::kEstablished;
  if (tracking.state == NatState::kSynReceived && tracking.confirmed) tracking.state = NatState::kEstablished;
  if (Has(segment, net::kTcpFin)) NoteFin(tracking, NatState::kClientClosing, NatState::kBackendClosing);
}

void NoteBackendSegment(NatTracking& tracking, const NatSegment& segment, uint32_t now_s) {
  Touch(tracking, now_s);
  if (Has(segment, net::kTcpRst)) {
    // A refused SYN is answered with an RST whose sequence number says nothing.
    const bool fits = tracking.state == NatState::kSynSent
                          ? Has(segment, net::kTcpAck) && segment.acknowledgement == tracking.client_isn + 1
                          : IsNear(segment.sequence, tracking.client_ack);
    if (fits) tracking.state = NatState::kBackendReset;
    return;
  }
  // As long as the SYN is not answered, anything else is about an older connection with the same local end.
  if (tracking.state == NatState::kSynSent && !Has(segment, net::kTcpSyn)) return;
  if (!tracking.answered) tracking.answered = true;
  if (Has(segment, net::kTcpAck) && tracking.backend_ack != segment.acknowledgement) {
    tracking.backend_ack = segment.acknowledgement;
  }
  if (Has(segment, net::kTcpSyn)) {
    if (tracking.state == NatState::kSynSent) {
      tracking.state = NatState::kSynReceived;
      tracking.client_ack = segment.sequence;
    }
    return;
  }
  if (tracking.state == NatState::kBackendReset) tracking.state = NatState::kEstablished;
  if (Has(segment, net::kTcpFin)) NoteFin(tracking, NatState::kBackendClosing, NatState::kClientClosing);
}

void NoteClientDatagram(NatTracking& tracking, uint32_t now_s) {
  Touch(tracking, now_s);
  if (!tracking.confirmed && tracking.answered) tracking.confirmed = true;
}

void NoteBackendDatagram(NatTracking& tracking, uint32_t now_s) {
  Touch(tracking, now_s);
  if (!tracking.answered) tracking.answered = true;
}

bool BeginsAnew(const NatTracking& tracking, const NatSegment& segment) {
  return net::IsSyn(segment.flags) && (tracking.state == NatState::kClosed || IsReset(tracking.state));
}

uint32_t TimeoutOf(const NatTracking& tracking, const FlowTimeouts& timeouts) {
  switch (tracking.state) {
    case NatState::kSynSent:
    case NatState::kSynReceived:
      return timeouts.tcp_syn_s;
    case NatState::kEstablished:
    // One direction may stay open and silent for long: ending the session would end the connection.
    case NatState::kClientClosing:
    case NatState::kBackendClosing:
      // Who did not show that it is there gets no more time than a SYN.
      return tracking.confirmed ? timeouts.tcp_established_s : std::min(timeouts.tcp_syn_s, timeouts.tcp_established_s);
    case NatState::kClosed:
      return timeouts.tcp_closing_s;
    case NatState::kClientReset:
    case NatState::kBackendReset:
      return timeouts.tcp_reset_s;
    case NatState::kUdp:
      return timeouts.udp_s;
    case NatState::kFree:
      break;
  }
  return 0;
}

}  // namespace sluice::lb
