#ifndef SLUICE_DATAPLANE_LB_NAT_PROXY_H_
#define SLUICE_DATAPLANE_LB_NAT_PROXY_H_

#include <cstdint>

#include "dataplane/lb/nat_state.h"

// A PROXY protocol header in front of the client's data, put into the stream without ending the connection here: the
// backend sees a stream that is longer by the header, so the client's numbers are shifted by its size on the way to the
// backend and back on the way to the client. The header has no copy that could be retransmitted; instead every segment
// of the client that begins at its first byte of data gets it again, byte for byte the same, for as long as the backend
// has not acknowledged it.
namespace sluice::lb {

struct ProxyShift {
  bool insert_header = false;  // before the segment's data; its numbers stay
  uint32_t sequence = 0;       // to be added to the sequence number
};

// What to do with a client's segment of a session whose header has `proxy_bytes`. Takes note of a header that is sent.
ProxyShift ShiftToBackend(NatTracking& tracking, uint8_t proxy_bytes, const NatSegment& segment);

// The acknowledgement number that the client is to see for the backend's `acknowledgement`: while the header was sent
// but is not wholly acknowledged, that of its own SYN. Takes note of a header that was accepted.
uint32_t UnshiftAcknowledgement(NatTracking& tracking, uint8_t proxy_bytes, uint32_t acknowledgement);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_NAT_PROXY_H_
