#ifndef SLUICE_DATAPLANE_NET_COMMON_FRAME_H_
#define SLUICE_DATAPLANE_NET_COMMON_FRAME_H_

#include <bit>
#include <cstdint>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/parser.h"

// The fast half of the parser: nearly every packet is an untagged, whole TCP segment or UDP datagram behind an IP
// header without options. Where all that is known to be so, offsets are constants and a handful of comparisons replace
// the general walk. It makes the same checks as ParseFrame, and leaves whatever it does not know to that.
namespace sluice::net {

constexpr uint32_t ShortestL4(uint8_t protocol) {
  return protocol == kProtocolTcp ? sizeof(TcpHeader) : sizeof(UdpHeader);
}

// Whether the length that TCP or UDP at `l4` states of itself is right, of which `beyond` bytes more than ShortestL4
// belong to the packet. What is too short wraps around, so that one comparison tells that too.
inline bool CommonL4Fits(const uint8_t* l4, uint8_t protocol, uint32_t beyond) {
  const uint32_t stated = protocol == kProtocolTcp ? uint32_t{l4[offsetof(TcpHeader, data_offset)]} >> 4 << 2
                                                   : Load<Be16>(l4 + offsetof(UdpHeader, length)).Host();
  return stated - ShortestL4(protocol) <= beyond;
}

// Whether TCP or UDP at `l4`, of which `l4_length` bytes belong to the packet, is as ParseFrame wants it; the size of a
// TCP header can be read. False: something is unusual or wrong.
inline bool CommonL4IsSound(const uint8_t* l4, uint8_t protocol, int l4_length) {
  if (protocol != kProtocolTcp && protocol != kProtocolUdp) return false;
  const int beyond = l4_length - static_cast<int>(ShortestL4(protocol));
  return beyond >= 0 && CommonL4Fits(l4, protocol, static_cast<uint32_t>(beyond));
}

// Sets what ParseFrame would, if the above is true.
inline bool ParseCommonL4(const uint8_t* l4, uint8_t protocol, int l4_length, ParsedHeaders& headers) {
  if (!CommonL4IsSound(l4, protocol, l4_length)) return false;
  headers.tcp_flags = protocol == kProtocolTcp ? l4[offsetof(TcpHeader, flags)] : 0;
  headers.protocol = protocol;
  // Both headers begin with the ports.
  headers.source_port = Load<Be16>(l4);
  headers.destination_port = Load<Be16>(l4 + sizeof(Be16));
  return true;
}

// What is the same for all frames of the common kind.
constexpr void SetCommonHeaders(Family family, uint32_t header_bytes, uint32_t ip_bytes, ParsedHeaders& headers) {
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

// Length of the packet as its header states it.
inline uint32_t CommonIpBytes(Family family, const uint8_t* ip) {
  if (family == Family::kIpv4) return Load<Be16>(ip + offsetof(Ipv4Header, total_length)).Host();
  return static_cast<uint32_t>(sizeof(Ipv6Header)) + Load<Be16>(ip + offsetof(Ipv6Header, payload_length)).Host();
}

// The IP part of ParseCommonFrame: an untagged frame of that EtherType, of which kCommonBytesV4 or kCommonBytesV6 can
// be read, with version (and IPv4 header length) known to be right.
inline bool ParseCommonIp(Family family, const uint8_t* ip, uint32_t frame_length, ParsedHeaders& headers) {
  const bool v4 = family == Family::kIpv4;
  if (v4) {
    constexpr auto kFragmented = Be16::FromHost(kIpv4MoreFragments | kIpv4FragmentOffsetMask);
    if ((Load<Be16>(ip + offsetof(Ipv4Header, fragment)).raw() & kFragmented.raw()) != 0) return false;
  }
  const auto header_bytes = static_cast<uint32_t>(v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header));
  const uint32_t ip_bytes = CommonIpBytes(family, ip);
  if (ip_bytes > frame_length - sizeof(EtherHeader) || ip_bytes > UINT16_MAX) return false;
  SetCommonHeaders(family, header_bytes, ip_bytes, headers);
  return ParseCommonL4(ip + header_bytes, ip[v4 ? offsetof(Ipv4Header, protocol) : offsetof(Ipv6Header, next_header)],
                       static_cast<int>(ip_bytes) - static_cast<int>(header_bytes), headers);
}

// Fills `headers` as ParseFrame would, if the frame is of the common kind. Otherwise returns false, and `headers` is
// to be filled by ParseFrame. Arguments as for ParseFrame.
inline bool ParseCommonFrame(const uint8_t* frame, uint32_t contiguous, uint32_t frame_length, ParsedHeaders& headers) {
  if (contiguous < kCommonBytesV4) return false;
  const uint8_t* const ip = frame + sizeof(EtherHeader);
  const auto type = Load<Be16>(frame + offsetof(EtherHeader, ether_type));
  if (type == Be16::FromHost(kEtherTypeIpv4)) {
    return ip[0] == 0x45 && ParseCommonIp(Family::kIpv4, ip, frame_length, headers);
  }
  return type == Be16::FromHost(kEtherTypeIpv6) && contiguous >= kCommonBytesV6 && ip[0] >> 4 == 6 &&
         ParseCommonIp(Family::kIpv6, ip, frame_length, headers);
}

// True when the checksum of an IPv4 header without options is right: ChecksumIsValid of its 20 bytes, whose first is
// not zero. With the end-around carry a sum of words of 64 bits is that of their parts of 16, modulo 2^16 - 1; it is
// all ones when 2^16 - 1 divides it. Of an odd divisor that is told by a product: multiples of it, and only those,
// become its multiplier's small numbers (Granlund and Montgomery 1994, section 9), for less than the folding takes.
inline bool CommonIpv4ChecksumIsValid(const uint8_t* ip) {
  constexpr uint64_t kDivisor = 0xffff;
  constexpr uint64_t kInverse = 0xfffe'fffe'fffe'ffff;  // modulo 2^64
  static_assert(kDivisor * kInverse == 1);
  uint64_t sum = 0;
  bool carry = __builtin_add_overflow(Load<uint64_t>(ip), Load<uint64_t>(ip + 8), &sum);
  const uint64_t last = uint64_t{Load<uint32_t>(ip + 16)} + (carry ? 1 : 0);
  carry = __builtin_add_overflow(sum, last, &sum);
  sum += carry ? 1 : 0;
  return sum * kInverse <= UINT64_MAX / kDivisor;
}

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_COMMON_FRAME_H_
