#ifndef SLUICE_DATAPLANE_NET_IP_HEADER_H_
#define SLUICE_DATAPLANE_NET_IP_HEADER_H_

#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/address.h"
#include "dataplane/net/headers.h"

// The fixed IP headers of both families by what they have in common. Pure, any thread.
namespace sluice::net {

// Bytes of a header without options: 20 or 40.
constexpr uint32_t IpHeaderSize(Family family) {
  return family == Family::kIpv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
}

struct IpHeaderFields {
  uint8_t traffic_class = 0;  // IPv4: TOS
  uint8_t hop_limit = 0;      // IPv4: TTL
  uint8_t protocol = 0;       // IPv6: next header
  uint16_t payload = 0;       // bytes behind the header; IPv6: behind the fixed one
  // IPv4 only. Without DF the packet needs an id; with it the id has no meaning and stays zero (RFC 6864, section 4).
  bool dont_fragment = true;
  Be16 id;
  uint16_t fragment = 0;  // offset in units of 8 bytes, and kIpv4MoreFragments
};

// Of a header that is there as a whole. A total length less than the header's own counts as no payload.
IpHeaderFields ReadIpHeader(Family family, const uint8_t* at);

// Writes a complete header, the IPv4 checksum included, without options and with the flow label 0. Addresses of 4 or 16
// bytes; they may lie in what is overwritten.
void WriteIpHeader(Family family, const IpHeaderFields& fields, const uint8_t* source, const uint8_t* destination,
                   uint8_t* at);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_IP_HEADER_H_
