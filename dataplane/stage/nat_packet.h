#ifndef SLUICE_DATAPLANE_STAGE_NAT_PACKET_H_
#define SLUICE_DATAPLANE_STAGE_NAT_PACKET_H_

#include <rte_mbuf.h>

#include <algorithm>

#include "dataplane/lb/return_table.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/nat_rewrite.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// The packet in its buffer, from its IP header on; of L4 what the first buffer holds. `protocol`: of what lies at
// l4_offset, which for a packet about a flow is not the flow's.
inline net::PacketBytes BytesOf(const Packet& packet, uint8_t protocol) {
  const net::ParsedHeaders& h = packet.headers;
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  const uint32_t end = std::min<uint32_t>(rte_pktmbuf_data_len(packet.mbuf), uint32_t{h.l3_offset} + h.ip_length);
  return {.family = h.family,
          .protocol = protocol,
          .ip = frame + h.l3_offset,
          .l4 = frame + h.l4_offset,
          .l4_bytes = end - h.l4_offset};
}

// What the return table says of the packet's source, with the protocol and port in `headers`.
inline lb::ReturnMatch MatchSource(const Packet& packet, const StageEnv& env) {
  const net::ParsedHeaders& h = packet.headers;
  const auto* source = rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, packet.vip_offset);
  const lb::ReturnTable& returns = *env.state->returns;
  return h.family == net::Family::kIpv4 ? returns.LookupV4(net::Load<Be32>(source), h.protocol, h.source_port)
                                        : returns.LookupV6(source, h.protocol, h.source_port);
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_NAT_PACKET_H_
