#ifndef SLUICE_DATAPLANE_STAGE_OUTER_HEADER_H_
#define SLUICE_DATAPLANE_STAGE_OUTER_HEADER_H_

#include <rte_mbuf.h>

#include <bit>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/packet.h"

// Pieces of a tunnel's outer header, for the stages and for the fast path.
namespace sluice::stage {

constexpr uint8_t InnerProtocol(net::Family inner) {
  return inner == net::Family::kIpv4 ? net::kProtocolIpip : net::kProtocolIpv6;
}

// By the mode of a tunnel; of other modes as of IPIP.
inline uint8_t OuterProtocol(fwd::ForwardingMode mode, net::Family inner) {
  if (mode == fwd::ForwardingMode::kGue || mode == fwd::ForwardingMode::kGueDirect) return net::kProtocolUdp;
  return mode == fwd::ForwardingMode::kGre ? net::kProtocolGre : InnerProtocol(inner);
}

inline uint8_t TrafficClassOf(const uint8_t* ip, net::Family family) {
  if (family == net::Family::kIpv4) return ip[offsetof(net::Ipv4Header, tos)];
  return static_cast<uint8_t>(ip[0] << 4 | ip[1] >> 4);
}

// RFC 6438: the label spreads flows to one backend over the network's paths.
inline uint32_t FlowLabel(uint64_t flow_hash) { return static_cast<uint32_t>(flow_hash >> 8) & 0x000f'ffff; }

// GUE: spreads flows as the flow label does.
inline uint16_t UdpSourcePort(uint64_t flow_hash) {
  constexpr uint16_t kEphemeralPorts = 0xc000;  // 49152 and up: what a host's own sources would be
  return static_cast<uint16_t>(kEphemeralPorts | (flow_hash >> 32 & 0x3fff));
}

// What a mode puts between the outer IP header and the inner packet. `payload_bytes`: of the outer packet.
// `private_bytes`: of GUE's private data, which are the caller's to write behind it. Returns the plain sum of UDP's and
// GUE's words: read again, they would stall on store forwarding.
inline uint64_t WriteShim(uint8_t* at, fwd::ForwardingMode mode, uint16_t gue_port, const Packet& packet,
                          uint16_t payload_bytes, uint16_t private_bytes = 0) {
  const net::Family inner = packet.headers.family;
  if (mode == fwd::ForwardingMode::kGre) {
    net::GreHeader gre{};
    gre.protocol = Be16::FromHost(inner == net::Family::kIpv4 ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6);
    net::Store(at, gre);
    return 0;
  }
  if (mode != fwd::ForwardingMode::kGue && mode != fwd::ForwardingMode::kGueDirect) return 0;
  net::UdpHeader udp{};
  udp.source_port = Be16::FromHost(UdpSourcePort(packet.flow_hash));
  udp.destination_port = Be16::FromHost(gue_port);
  udp.length = Be16::FromHost(payload_bytes);
  // Over IPv4 the checksum may be left out (RFC 768); over IPv6 it is filled in when the rest is written.
  const auto udp_words = std::bit_cast<uint64_t>(udp);
  net::Store(at, udp_words);
  const uint64_t udp_sum = (udp_words & UINT32_MAX) + (udp_words >> 32);
  if (mode == fwd::ForwardingMode::kGueDirect) return udp_sum;
  net::GueHeader gue{};
  gue.variant_control_length = static_cast<uint8_t>(private_bytes / 4);
  gue.protocol = InnerProtocol(inner);
  const auto gue_word = std::bit_cast<uint32_t>(gue);
  net::Store(at + sizeof(udp), gue_word);
  return udp_sum + gue_word;
}

// `l2_bytes`: in front of the outer header, at most 22.
inline void LeaveChecksumToDevice(rte_mbuf* mbuf, size_t l2_bytes) {
  // Of a fragment there was something else (travel_note.h).
  mbuf->tx_offload = 0;
  mbuf->l2_len = l2_bytes & 0x7f;  // 7 bits wide
  mbuf->l3_len = sizeof(net::Ipv4Header);
  mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
}

// The outer header's checksum of which BackendEntry::outer_sum is the sum without TOS and length, for IP in IPv4 or
// another protocol.
inline uint16_t CompleteChecksum(uint32_t outer_sum, uint16_t total_length, uint8_t tos, uint8_t protocol) {
  // RFC 1624, equation 3.
  const uint32_t protocol_sum = (uint32_t{0xffff} - net::kProtocolIpip) + protocol;
  const auto checksum = static_cast<uint16_t>(~net::FoldSum(outer_sum + protocol_sum + total_length + tos));
  return Be16::FromHost(checksum).raw();
}

inline Be32 VersionClassFlow(uint8_t traffic_class, uint64_t flow_hash) {
  return Be32::FromHost(0x6000'0000 | uint32_t{traffic_class} << 20 | FlowLabel(flow_hash));
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_OUTER_HEADER_H_
