#ifndef SLUICE_DATAPLANE_NET_HEADERS_H_
#define SLUICE_DATAPLANE_NET_HEADERS_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.h"

// The wire formats: every header that Sluice reads or writes, in one place. All are packed, so they may lie at any
// offset of a packet.
namespace sluice::net {

struct __attribute__((packed)) EtherHeader {
  uint8_t destination[6];
  uint8_t source[6];
  Be16 ether_type;
};
static_assert(sizeof(EtherHeader) == 14);

// What follows an EtherType of 0x8100 or 0x88a8 (IEEE 802.1Q, 802.1ad).
struct __attribute__((packed)) VlanTag {
  Be16 control;  // PCP 3 bits, DEI 1 bit, VLAN id 12 bits
  Be16 ether_type;
};
static_assert(sizeof(VlanTag) == 4);

// RFC 791
struct __attribute__((packed)) Ipv4Header {
  uint8_t version_ihl;
  uint8_t tos;
  Be16 total_length;
  Be16 id;
  Be16 fragment;  // flags 3 bits, offset 13 bits in units of 8 bytes
  uint8_t ttl;
  uint8_t protocol;
  uint16_t checksum;  // ones' complement sums do not depend on byte order, see checksum.h
  Be32 source;
  Be32 destination;
};
static_assert(sizeof(Ipv4Header) == 20);
static_assert(offsetof(Ipv4Header, source) == 12);

// RFC 8200
struct __attribute__((packed)) Ipv6Header {
  Be32 version_class_flow;  // version 4 bits, traffic class 8 bits, flow label 20 bits
  Be16 payload_length;
  uint8_t next_header;
  uint8_t hop_limit;
  uint8_t source[16];
  uint8_t destination[16];
};
static_assert(sizeof(Ipv6Header) == 40);
static_assert(offsetof(Ipv6Header, source) == 8);

// The fragment header (RFC 8200, section 4.5)
struct __attribute__((packed)) Ipv6FragmentHeader {
  uint8_t next_header;
  uint8_t reserved;
  Be16 fragment;  // offset 13 bits in units of 8 bytes, reserved 2 bits, "more" 1 bit
  Be32 id;
};
static_assert(sizeof(Ipv6FragmentHeader) == 8);

// RFC 9293
struct __attribute__((packed)) TcpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be32 sequence;
  Be32 acknowledgement;
  uint8_t data_offset;  // upper 4 bits, in units of 4 bytes
  uint8_t flags;
  Be16 window;
  uint16_t checksum;
  Be16 urgent;
};
static_assert(sizeof(TcpHeader) == 20);
static_assert(offsetof(TcpHeader, flags) == 13);

// RFC 768
struct __attribute__((packed)) UdpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be16 length;
  uint16_t checksum;
};
static_assert(sizeof(UdpHeader) == 8);

// RFC 792, RFC 4443
struct __attribute__((packed)) IcmpHeader {
  uint8_t type;
  uint8_t code;
  uint16_t checksum;
  Be32 rest;  // echo: identifier and sequence; packet too big: the MTU (IPv4: in the lower half)
};
static_assert(sizeof(IcmpHeader) == 8);

// Generic UDP Encapsulation, variant 0 (draft-ietf-intarea-gue-09, section 3)
struct __attribute__((packed)) GueHeader {
  uint8_t variant_control_length;  // variant 2 bits, control flag 1 bit, header length 5 bits in units of 4 bytes
  uint8_t protocol;                // of what follows
  Be16 flags;
};
static_assert(sizeof(GueHeader) == 4);

// GUE's private data, in which a director names a second backend for a packet (dataplane/lb/COOKIES.md). Behind it that
// backend's address, of the outer header's family.
struct __attribute__((packed)) GueSecondChance {
  uint8_t version;  // kSecondChanceVersion
  uint8_t state;    // 0: named by a director; 1: sent on by the first backend
  Be16 zero;
};
static_assert(sizeof(GueSecondChance) == 4);
inline constexpr uint8_t kSecondChanceVersion = 1;

// RFC 2784, without the optional checksum
struct __attribute__((packed)) GreHeader {
  Be16 flags_version;
  Be16 protocol;  // an EtherType
};
static_assert(sizeof(GreHeader) == 4);

inline constexpr uint32_t kMinMtuV6 = 1280;  // RFC 8200, section 5

inline constexpr uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr uint16_t kEtherTypeArp = 0x0806;
inline constexpr uint16_t kEtherTypeVlan = 0x8100;
inline constexpr uint16_t kEtherTypeIpv6 = 0x86dd;
inline constexpr uint16_t kEtherTypeQinQ = 0x88a8;

inline constexpr uint8_t kProtocolHopByHop = 0;
inline constexpr uint8_t kProtocolIcmp = 1;
inline constexpr uint8_t kProtocolIpip = 4;
inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;
inline constexpr uint8_t kProtocolIpv6 = 41;
inline constexpr uint8_t kProtocolRouting = 43;
inline constexpr uint8_t kProtocolFragment = 44;
inline constexpr uint8_t kProtocolGre = 47;
inline constexpr uint8_t kProtocolAuthentication = 51;
inline constexpr uint8_t kProtocolIcmpv6 = 58;
inline constexpr uint8_t kProtocolDestinationOptions = 60;

inline constexpr uint16_t kIpv4DontFragment = 0x4000;
inline constexpr uint16_t kIpv4MoreFragments = 0x2000;
inline constexpr uint16_t kIpv4FragmentOffsetMask = 0x1fff;
inline constexpr uint16_t kIpv6MoreFragments = 0x0001;
inline constexpr uint16_t kIpv6FragmentOffsetMask = 0xfff8;

inline constexpr uint8_t kTcpFin = 0x01;
inline constexpr uint8_t kTcpSyn = 0x02;
inline constexpr uint8_t kTcpRst = 0x04;
inline constexpr uint8_t kTcpPsh = 0x08;
inline constexpr uint8_t kTcpAck = 0x10;
inline constexpr uint8_t kTcpUrg = 0x20;

// Whether a segment with these flags asks for a new connection.
constexpr bool IsSyn(uint8_t tcp_flags) { return (tcp_flags & (kTcpSyn | kTcpAck | kTcpRst)) == kTcpSyn; }

inline constexpr uint8_t kIcmpEchoReply = 0;
inline constexpr uint8_t kIcmpUnreachable = 3;
inline constexpr uint8_t kIcmpEchoRequest = 8;
inline constexpr uint8_t kIcmpTimeExceeded = 11;
inline constexpr uint8_t kIcmpParameterProblem = 12;
inline constexpr uint8_t kIcmpCodeFragmentationNeeded = 4;
inline constexpr uint8_t kIcmpv6Unreachable = 1;
inline constexpr uint8_t kIcmpv6PacketTooBig = 2;
inline constexpr uint8_t kIcmpv6TimeExceeded = 3;
inline constexpr uint8_t kIcmpv6ParameterProblem = 4;
inline constexpr uint8_t kIcmpv6FirstInformational = 128;  // types below are errors
inline constexpr uint8_t kIcmpv6EchoRequest = 128;
inline constexpr uint8_t kIcmpv6EchoReply = 129;

// ICMPv6 types of neighbour discovery (RFC 4861), 133 to 137, which share the control class on the way to the host.
inline constexpr uint8_t kIcmpv6RouterSolicitation = 133;
inline constexpr uint8_t kIcmpv6Redirect = 137;

inline constexpr uint16_t kPortBgp = 179;
inline constexpr uint16_t kPortBfd = 3784;          // RFC 5881
inline constexpr uint16_t kPortBfdEcho = 3785;      // RFC 5881
inline constexpr uint16_t kPortBfdMultihop = 4784;  // RFC 5883

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_HEADERS_H_
