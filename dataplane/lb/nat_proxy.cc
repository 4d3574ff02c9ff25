#include "dataplane/lb/nat_proxy.h"

#include "dataplane/net/headers.h"

namespace sluice::lb {
namespace {

bool IsBefore(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }

}  // namespace

ProxyShift ShiftToBackend(NatTracking& tracking, uint8_t proxy_bytes, const NatSegment& segment) {
  // Past the header nothing is compared with the first number any more: it comes round again after 4 GB.
  if (tracking.proxy_accepted) return {.insert_header = false, .sequence = proxy_bytes};
  const uint32_t first = tracking.client_isn + 1;
  // SYNs and keep-alives before the first byte.
  if ((segment.flags & net::kTcpSyn) != 0 || IsBefore(segment.sequence, first)) return {};
  // An RST has to match what the backend expects next (RFC 5961), which is behind the header once it got that. Before,
  // it answers an acknowledgement that went to the client unchanged: see below.
  if ((segment.flags & net::kTcpRst) != 0) {
    return {.insert_header = false, .sequence = tracking.proxy_sent ? proxy_bytes : 0u};
  }
  if (segment.sequence != first) return {.insert_header = false, .sequence = proxy_bytes};
  tracking.proxy_sent = true;
  return {.insert_header = true, .sequence = 0};
}

uint32_t UnshiftAcknowledgement(NatTracking& tracking, uint8_t proxy_bytes, uint32_t acknowledgement) {
  const uint32_t first = tracking.client_isn + 1;
  if (!tracking.proxy_accepted) {
    // Before the header was sent there is nothing behind the SYN to acknowledge. A backend that does so speaks of an
    // older connection that it had with the same local end (it is in TIME-WAIT, say). The client answers that with an
    // RST of just this number (RFC 9293, 3.10.7.3), which ends the old connection, and its next SYN begins the new one.
    if (!tracking.proxy_sent || !IsBefore(first, acknowledgement)) return acknowledgement;
    if (acknowledgement - first < proxy_bytes) return first;
    tracking.proxy_accepted = true;
  }
  return acknowledgement - proxy_bytes;
}

}  // namespace sluice::lb
