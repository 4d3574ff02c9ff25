#ifndef SLUICE_DATAPLANE_STAGE_OUTER_HEADER_H_
#define SLUICE_DATAPLANE_STAGE_OUTER_HEADER_H_

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/packet.h"

// Pieces of a tunnel's outer header, for the stages and for the fast path.
namespace sluice::stage {

inline uint8_t InnerProtocol(net::Family inner) {
  return inner == net::Family::kIpv4 ? net::kProtocolIpip : net::kProtocolIpv6;
}

inline uint8_t TrafficClassOf(const uint8_t* ip, net::Family family) {
  if (family == net::Family::kIpv4) return ip[offsetof(net::Ipv4Header, tos)];
  return static_cast<uint8_t>(ip[0] << 4 | ip[1] >> 4);
}

// RFC 6438: the label spreads flows to one backend over the network's paths.
inline uint32_t FlowLabel(uint64_t flow_hash) { return static_cast<uint32_t>(flow_hash >> 8) & 0x000f'ffff; }

inline void LeaveChecksumToDevice(Packet& packet) {
  packet.mbuf->l2_len = packet.headers.l3_offset & 0x7f;  // 7 bits wide; at most 22
  packet.mbuf->l3_len = sizeof(net::Ipv4Header);
  packet.mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
}

// Of the outer header that was made from a template with this checksum: length, TOS and protocol were zero when that
// was taken; the latter two are the second bytes of their words. RFC 1624, equation 3, for three words at once.
inline uint16_t CompleteChecksum(uint16_t template_checksum, Be16 total_length, uint8_t tos, uint8_t protocol) {
  const uint32_t sum = uint32_t{static_cast<uint16_t>(~template_checksum)} + total_length.raw() + (uint32_t{tos} << 8) +
                       (uint32_t{protocol} << 8);
  return static_cast<uint16_t>(~net::FoldSum(sum));
}

inline Be32 VersionClassFlow(uint8_t traffic_class, uint64_t flow_hash) {
  return Be32::FromHost(0x6000'0000 | uint32_t{traffic_class} << 20 | FlowLabel(flow_hash));
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_OUTER_HEADER_H_
