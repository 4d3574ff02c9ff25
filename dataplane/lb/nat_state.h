#ifndef SLUICE_DATAPLANE_LB_NAT_STATE_H_
#define SLUICE_DATAPLANE_LB_NAT_STATE_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/lb/flow_timeouts.h"

namespace sluice::lb {

// What the director knows of a translated connection, of which it sees both directions.
enum class NatState : uint8_t {
  kFree = 0,        // the session is not in use
  kSynSent,         // TCP: the client sent SYN
  kSynReceived,     // TCP: the backend answered with SYN and ACK
  kEstablished,     // TCP: the client acknowledged that; or the connection was taken up in its middle
  kClientClosing,   // TCP: the client sent FIN, the backend may still send for as long as it likes
  kBackendClosing,  // TCP: the backend sent FIN, the client did not
  kClosed,          // TCP: both sent FIN
  kClientReset,     // TCP: the client sent RST
  kBackendReset,    // TCP: the backend sent RST
  kUdp,
};

// Whose packets: the client's or the backend's.
enum class NatSide : uint8_t { kClient = 0, kBackend = 1 };
constexpr size_t IndexOf(NatSide side) { return static_cast<size_t>(side); }
constexpr NatSide Other(NatSide side) { return side == NatSide::kClient ? NatSide::kBackend : NatSide::kClient; }

// What of a TCP segment matters, in host byte order; numbers are those the client knows, where a header in front of its
// data shifts them.
struct NatSegment {
  uint8_t flags = 0;
  uint32_t sequence = 0;
  uint32_t acknowledgement = 0;
};

// The state of one translated flow.
struct NatTracking {
  NatState state = NatState::kFree;
  // The client has shown that it receives what is sent to it: with TCP it acknowledged the backend's SYN, which nobody
  // can who forges the client's address and does not see its packets; with UDP it sent again after an answer. Sessions
  // without it have a limit of their own.
  bool confirmed : 1 = false;
  bool answered : 1 = false;   // the backend sent something
  bool isn_known : 1 = false;  // the session saw the client's SYN
  // Of a flow whose data begins with a PROXY protocol header, see nat_proxy.h: it was sent at least once; and the
  // backend acknowledged bytes beyond it.
  bool proxy_sent : 1 = false;
  bool proxy_accepted : 1 = false;
  uint8_t known : 2 = 0;      // bits by side, see Learn
  bool known_v6 : 1 = false;  // see Learn; all bits have names and so values, as they are compared by whole bytes
  uint8_t protocol = 0;
  uint8_t proxy_bytes = 0;   // of the PROXY protocol header that goes before the client's data; 0: none
  uint32_t known_in = 0;     // see Learn
  uint32_t last_seen_s = 0;  // of the worker's clock
  // The number of the client's SYN, which is asked for until the backend has answered it, and as long as there is a
  // PROXY protocol header. Where it is not, what was learned takes its place.
  union {
    uint32_t client_isn = 0;
    uint32_t known_hop;
  };
  // What the client acknowledged last. Until it is confirmed: the number of the backend's SYN, where that was seen.
  uint32_t client_ack = 0;
  uint32_t backend_ack = 0;  // what the backend acknowledged last, in the client's numbers

  // A note of the fast path's (stage/fast_known.h): packets of this side are the flow's, and need nothing but to be
  // translated, as long as the configuration has the number `in`, which is not 0. `hop`: by which packets to the client
  // leave then; of the backend's side. `v6`: both sides are of IPv6, else of IPv4: packets of another family have other
  // tuples, even where the bytes are the same. Of flows whose backend has answered, without a PROXY protocol header.
  void Learn(NatSide side, uint32_t in, uint32_t hop, bool v6) {
    if (known == 0 || known_in != in) {
      known_in = in;
      known = 0;
    }
    known_v6 = v6;
    known = static_cast<uint8_t>(known | 1u << IndexOf(side)) & 3;
    if (side == NatSide::kBackend) known_hop = hop;
  }
  bool Knows(NatSide side, uint32_t in) const { return (known >> IndexOf(side) & 1) != 0 && known_in == in; }
};
static_assert(sizeof(NatTracking) == 24);

// Begins a session with a client's packet. TCP segments other than SYN are taken for the middle of a connection.
void BeginTcp(NatTracking& tracking, const NatSegment& segment, uint32_t now_s);
void BeginUdp(NatTracking& tracking, uint32_t now_s);

// Take note of another packet. An RST is believed when its number is near what the other side acknowledged last, since
// with NAT the end of a session is the end of the connection; where it is not, the packet is forwarded all the same and
// the receiver judges. After an RST another packet of the same side shows that it was not what it seemed.
void NoteClientSegment(NatTracking& tracking, const NatSegment& segment, uint32_t now_s);
void NoteBackendSegment(NatTracking& tracking, const NatSegment& segment, uint32_t now_s);
void NoteClientDatagram(NatTracking& tracking, uint32_t now_s);
void NoteBackendDatagram(NatTracking& tracking, uint32_t now_s);

// What NoteClientSegment and NoteBackendSegment do of a segment without SYN, FIN and RST in the middle of a connection
// whose client is confirmed: nearly every segment. `last_ack`: what its sender acknowledged last. False: it is another,
// and nothing was noted.
inline bool NoteOngoing(NatTracking& tracking, uint32_t& last_ack, bool has_ack, uint32_t acknowledgement,
                        uint32_t now_s) {
  if (tracking.state != NatState::kEstablished || !tracking.confirmed || !tracking.answered) return false;
  // The line is written once a second and at a change.
  if (tracking.last_seen_s != now_s) tracking.last_seen_s = now_s;
  if (has_ack && last_ack != acknowledgement) last_ack = acknowledgement;
  return true;
}

// True for a SYN of the client that begins a new connection on a tuple whose old one is over. Others are
// retransmissions, or the backend will judge them.
bool BeginsAnew(const NatTracking& tracking, const NatSegment& segment);

// Seconds without a packet after which a session ends.
uint32_t TimeoutOf(const NatTracking& tracking, const FlowTimeouts& timeouts);

inline bool IsOver(const NatTracking& tracking, const FlowTimeouts& timeouts, uint32_t now_s) {
  return now_s - tracking.last_seen_s >= TimeoutOf(tracking, timeouts);
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_NAT_STATE_H_
