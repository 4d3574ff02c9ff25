#ifndef SLUICE_DATAPLANE_STAGE_NAT_TCP_H_
#define SLUICE_DATAPLANE_STAGE_NAT_TCP_H_

#include <cstdint>

#include "dataplane/lb/nat_session.h"
#include "dataplane/net/nat_rewrite.h"
#include "dataplane/stage/packet.h"

// What address translation changes in TCP beyond the ports: the MSS in SYNs, and for flows with a PROXY protocol header
// the numbers of the client's stream and the header itself.
namespace sluice::stage {

// Flags and numbers of a TCP segment whose header is in reach.
lb::NatSegment ReadSegment(const Packet& packet);

// True for a client's segment that gets the session's header in front of its data. To be asked once for each packet,
// before anything of it is changed.
struct SegmentPlan {
  uint8_t insert_bytes = 0;  // of the PROXY protocol header
  uint32_t sequence_shift = 0;
  bool is_syn = false;     // see below
  uint32_t cut_bytes = 0;  // of a SYN's data
};
SegmentPlan PlanSegment(const Packet& packet, lb::NatSession& session);

// Carries out the plan on a client's segment. TCP fast open would let data come with the SYN, before there is anything
// to tell the backend that a header comes first: the option is taken out, and data of the SYN cut off, which the client
// sends again. `max_mss`: that of the segment's SYN. False: the packet was dropped.
bool ChangeSegmentToBackend(Packet& packet, const SegmentPlan& plan, const lb::NatSession& session);

// Shifts the numbers of a backend's segment back.
void ChangeSegmentToClient(const net::PacketBytes& bytes, lb::NatSession& session);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_NAT_TCP_H_
