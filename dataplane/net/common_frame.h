#ifndef SLUICE_DATAPLANE_NET_COMMON_FRAME_H_
#define SLUICE_DATAPLANE_NET_COMMON_FRAME_H_

#include <cstdint>

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/parser.h"

// The fast half of the parser: nearly every packet is an untagged, whole TCP segment or UDP datagram behind an IP
// header without options. Where all that is known to be so, offsets are constants and a handful of comparisons replace
// the general walk. It makes the same checks as ParseFrame, and leaves whatever it does not know to that.
namespace sluice::net {

// TCP or UDP at `l4`, of which `l4_length` bytes belong to the packet; the size of a TCP header can be read. Sets what
// ParseFrame would; false: something is unusual or wrong.
inline bool ParseCommonL4(const uint8_t* l4, uint8_t protocol, int l4_length, ParsedHeaders& headers) {
  if (protocol == kProtocolTcp) {
    const int header_length = (l4[offsetof(TcpHeader, data_offset)] >> 4) * 4;
    if (header_length < static_cast<int>(sizeof(TcpHeader)) || header_length > l4_length) return false;
    headers.tcp_flags = l4[offsetof(TcpHeader, flags)];
  } else if (protocol == kProtocolUdp) {
    const int length = Load<Be16>(l4 + offsetof(UdpHeader, length)).Host();
    if (length < static_cast<int>(sizeof(UdpHeader)) || length > l4_length) return false;
    headers.tcp_flags = 0;
  } else {
    return false;
  }
  headers.protocol = protocol;
  // Both headers begin with the ports.
  headers.source_port = Load<Be16>(l4);
  headers.destination_port = Load<Be16>(l4 + sizeof(Be16));
  return true;
}

// What is the same for all frames of the common kind.
inline void SetCommonHeaders(Family family, uint32_t header_bytes, uint32_t ip_bytes, ParsedHeaders& headers) {
  constexpr auto kL3 = static_cast<uint16_t>(sizeof(EtherHeader));
  headers.family = family;
  headers.status = ParseStatus::kOk;
  headers.l4_status = L4Status::kPorts;
  headers.error = ParsedHeaders().error;
  headers.vlan_tags = 0;
  headers.has_extension = false;
  headers.l3_offset = kL3;
  headers.l4_offset = static_cast<uint16_t>(kL3 + header_bytes);
  headers.ip_length = static_cast<uint16_t>(ip_bytes);
  headers.ether_type = Be16::FromHost(family == Family::kIpv4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
}

// Bytes of a frame that are read of the common kind: TCP is the longer of the two, and every Ethernet frame is as long
// as this over IPv4, a minimal UDP datagram with its padding too.
constexpr uint32_t kCommonBytesV4 = sizeof(EtherHeader) + sizeof(Ipv4Header) + sizeof(TcpHeader);
constexpr uint32_t kCommonBytesV6 = sizeof(EtherHeader) + sizeof(Ipv6Header) + sizeof(TcpHeader);

// The IP part of ParseCommonFrame: an untagged frame of that EtherType, of which kCommonBytesV4 or kCommonBytesV6 can
// be read, with version (and IPv4 header length) known to be right.
inline bool ParseCommonIpv4(const uint8_t* ip, uint32_t frame_length, ParsedHeaders& headers) {
  constexpr auto kFragmented = Be16::FromHost(kIpv4MoreFragments | kIpv4FragmentOffsetMask);
  const uint16_t fragment = Load<Be16>(ip + offsetof(Ipv4Header, fragment)).raw();
  const uint32_t ip_bytes = Load<Be16>(ip + offsetof(Ipv4Header, total_length)).Host();
  if ((fragment & kFragmented.raw()) != 0 || ip_bytes > frame_length - sizeof(EtherHeader)) return false;
  SetCommonHeaders(Family::kIpv4, sizeof(Ipv4Header), ip_bytes, headers);
  return ParseCommonL4(ip + sizeof(Ipv4Header), ip[offsetof(Ipv4Header, protocol)],
                       static_cast<int>(ip_bytes) - static_cast<int>(sizeof(Ipv4Header)), headers);
}

inline bool ParseCommonIpv6(const uint8_t* ip, uint32_t frame_length, ParsedHeaders& headers) {
  const uint32_t payload_bytes = Load<Be16>(ip + offsetof(Ipv6Header, payload_length)).Host();
  const uint32_t ip_bytes = static_cast<uint32_t>(sizeof(Ipv6Header)) + payload_bytes;
  if (ip_bytes > frame_length - sizeof(EtherHeader) || ip_bytes > UINT16_MAX) return false;
  SetCommonHeaders(Family::kIpv6, sizeof(Ipv6Header), ip_bytes, headers);
  return ParseCommonL4(ip + sizeof(Ipv6Header), ip[offsetof(Ipv6Header, next_header)], static_cast<int>(payload_bytes),
                       headers);
}

// Fills `headers` as ParseFrame would, if the frame is of the common kind. Otherwise returns false, and `headers` is
// to be filled by ParseFrame. Arguments as for ParseFrame.
inline bool ParseCommonFrame(const uint8_t* frame, uint32_t contiguous, uint32_t frame_length, ParsedHeaders& headers) {
  if (contiguous < kCommonBytesV4) return false;
  const uint8_t* const ip = frame + sizeof(EtherHeader);
  const auto type = Load<Be16>(frame + offsetof(EtherHeader, ether_type));
  if (type == Be16::FromHost(kEtherTypeIpv4)) return ip[0] == 0x45 && ParseCommonIpv4(ip, frame_length, headers);
  return type == Be16::FromHost(kEtherTypeIpv6) && contiguous >= kCommonBytesV6 && ip[0] >> 4 == 6 &&
         ParseCommonIpv6(ip, frame_length, headers);
}

// True when the checksum of an IPv4 header without options is right: ChecksumIsValid of its 20 bytes, in five
// additions.
inline bool CommonIpv4ChecksumIsValid(const uint8_t* ip) {
  const auto first = Load<uint64_t>(ip);
  const auto second = Load<uint64_t>(ip + 8);
  uint64_t sum =
      (first & UINT32_MAX) + (first >> 32) + (second & UINT32_MAX) + (second >> 32) + Load<uint32_t>(ip + 16);
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_COMMON_FRAME_H_
