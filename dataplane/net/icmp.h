#ifndef SLUICE_DATAPLANE_NET_ICMP_H_
#define SLUICE_DATAPLANE_NET_ICMP_H_

#include <cstdint>
#include <optional>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/address.h"
#include "dataplane/net/parser.h"

namespace sluice::net {

// The flow that an ICMP error is about, from the packet it quotes. The quoted packet was sent by the VIP, so its source
// is the VIP and its destination the client. Offsets are in bytes from the frame's first byte.
struct QuotedFlow {
  uint8_t protocol = 0;
  uint16_t source_offset = 0;       // of the quoted source address
  uint16_t destination_offset = 0;  // of the quoted destination address
  uint16_t l4_offset = 0;           // of the quoted TCP or UDP header, of which 8 bytes at least are there
  Be16 source_port;
  Be16 destination_port;
};

// The flow of the packet of `family` that an error quotes from `bytes + quote` on; nothing is read at `end` and beyond.
// Offsets in the result are in bytes from `bytes`. Nothing in the cases that ParseQuotedFlow names.
std::optional<QuotedFlow> ParseQuote(Family family, const uint8_t* bytes, uint32_t quote, uint32_t end);

// True for ICMP and ICMPv6 messages that report an error and quote a packet (RFC 792, RFC 4443). `headers` are of a
// frame whose L4 protocol is ICMP of its family; never reads beyond `contiguous` bytes.
bool IsIcmpError(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers);

// The quoted flow of an ICMP error. Nothing when the quote is cut before the ports, is no TCP or UDP, is a fragment
// other than the first, or is of the other family. Does not require the whole quoted packet: routers cut it.
std::optional<QuotedFlow> ParseQuotedFlow(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers);

// True for an echo request with its whole header in reach.
bool IsEchoRequest(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_ICMP_H_
