#ifndef SLUICE_DATAPLANE_NET_ICMP_ERROR_H_
#define SLUICE_DATAPLANE_NET_ICMP_ERROR_H_

#include <cstdint>

#include "dataplane/net/address.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/ip_header.h"

// ICMP and ICMPv6 errors about a packet, made in front of it: the packet itself becomes the quote. Pure, any thread.
namespace sluice::net {

// What is said; the numbers of either family follow from it.
enum class IcmpErrorKind : uint8_t {
  kTooBig,           // 3/4 fragmentation needed (RFC 1191), 2/0 packet too big
  kTimeExceeded,     // 11/0, 3/0: no hop left
  kPortUnreachable,  // 3/3, 1/4
  kHostUnreachable,  // 3/1, 1/3 address unreachable
  kProhibited,       // 3/13 communication administratively prohibited (RFC 1812), 1/1
  kSourceRoute,      // 3/5 source route failed, 4/0 parameter problem
};

// Bytes that WriteIcmpError puts in front of the quote: 28 or 48.
constexpr uint16_t IcmpErrorHeaderBytes(Family family) {
  return static_cast<uint16_t>(IpHeaderSize(family) + sizeof(IcmpHeader));
}

// The most that may be quoted, so that the whole error has no more than 576 bytes for IPv4 (RFC 1812, section 4.3.2.3)
// and 1280 for IPv6 (RFC 4443, section 2.4 c).
constexpr uint16_t MaxIcmpQuote(Family family) {
  return static_cast<uint16_t>((family == Family::kIpv4 ? 576 : 1280) - IcmpErrorHeaderBytes(family));
}

// Writes IP and ICMP header to `at`; the quote lies behind them already: the first `quoted` bytes of the packet that
// caused the error, at least its IP header and at most MaxIcmpQuote. The error goes to the quote's source; it comes
// from `source` (4 or 16 bytes), or from the quote's destination when that is null. `detail` is the MTU of
// kTooBig, and what kSourceRoute points at in an IPv6 packet, in bytes from its beginning.
void WriteIcmpError(Family family, IcmpErrorKind kind, const uint8_t* source, uint32_t detail, uint32_t quoted,
                    uint8_t* at);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_ICMP_ERROR_H_
