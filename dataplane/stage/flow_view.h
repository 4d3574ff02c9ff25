#ifndef SLUICE_DATAPLANE_STAGE_FLOW_VIEW_H_
#define SLUICE_DATAPLANE_STAGE_FLOW_VIEW_H_

#include <rte_mbuf.h>

#include "dataplane/fwd/ladder.h"
#include "dataplane/lb/fragment_table.h"
#include "dataplane/lb/nat_session.h"
#include "dataplane/stage/packet.h"

namespace sluice::stage {

// What the ladder looks at of a client's packet. Points into the packet.
inline fwd::FlowView ViewFlow(const Packet& packet) {
  const net::ParsedHeaders& h = packet.headers;
  const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  return {.client = frame + packet.client_offset,
          .destination = frame + packet.vip_offset,
          .family = h.family,
          .protocol = h.protocol,
          .tcp_flags = h.tcp_flags,
          .related = packet.related,
          .client_port = h.source_port,
          .destination_port = h.destination_port,
          .vip = packet.vip,
          .hash = packet.flow_hash};
}

// What the timestamps of a TCP segment say, of which `size` bytes can be read.
lb::TcpEcho EchoOf(const uint8_t* tcp, size_t size);

// Adds what the ladder looks at where the VIP has cookies. A packet about the flow quotes one of the server's, in whose
// TSval the client would have found what it echoes. Fragments other than the first have what that one said.
void ViewTimestamps(const Packet& packet, fwd::FlowView& flow);

// Likewise where the VIP has QUIC.
void ViewQuicId(const Packet& packet, fwd::FlowView& flow);

// Puts a TSecr into a SYN in which ViewTimestamps found timestamps.
void PutSynEcho(const Packet& packet, uint32_t echo);

// The tuple of a backend's packet, or of what an error about a packet to the backend is about.
inline lb::NatTuple ReplyTuple(const Packet& packet) {
  const net::ParsedHeaders& h = packet.headers;
  const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  return {.source = lb::LoadNatAddress(h.family, frame + packet.vip_offset),
          .destination = lb::LoadNatAddress(h.family, frame + packet.client_offset),
          .source_port = h.source_port,
          .destination_port = h.destination_port,
          .protocol = h.protocol,
          .family = h.family};
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FLOW_VIEW_H_
