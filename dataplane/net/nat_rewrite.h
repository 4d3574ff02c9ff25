#ifndef SLUICE_DATAPLANE_NET_NAT_REWRITE_H_
#define SLUICE_DATAPLANE_NET_NAT_REWRITE_H_

#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/address.h"

// Network address translation of one packet in place. Checksums are changed by the difference (RFC 1624), so a right
// one stays right and a wrong one stays wrong: NAT does not launder a damaged packet. Pure, any thread.
namespace sluice::net {

// A TCP, UDP, ICMP or ICMPv6 packet in writable bytes.
struct PacketBytes {
  Family family = Family::kIpv4;
  uint8_t protocol = 0;   // of `l4`
  uint8_t* ip = nullptr;  // the IP header; the whole of it may be read and written, and what lies between it and `l4`
  uint8_t* l4 = nullptr;  // behind IPv4 options and IPv6 extension headers
  uint32_t l4_bytes = 0;  // that may be read and written from `l4`; at most what the IP header says, less when the
                          // packet lies in several buffers
};

// What becomes of a packet's two ends. An end whose address is null stays as it is, port included.
struct NatChange {
  const uint8_t* source = nullptr;       // 4 or 16 bytes, by the packet's family
  const uint8_t* destination = nullptr;  // likewise
  Be16 source_port;
  Be16 destination_port;
};

// Changes addresses and ports of a TCP or UDP packet, the IPv4 header checksum and the TCP or UDP checksum. A UDP
// checksum of zero says that there is none (RFC 768) and stays zero; a computed zero is written as 0xffff. False, and
// nothing changed, when another protocol is given or `l4_bytes` does not reach over the checksum (a first fragment may
// be that short; RFC 1858 advises to drop it). Good for first fragments too.
bool RewriteFlow(const PacketBytes& packet, const NatChange& change);

// Changes the addresses only: for fragments other than the first, which have neither ports nor checksum (that of the
// first covers all), and any protocol without a pseudo header. `ip` as in PacketBytes.
void RewriteAddresses(Family family, uint8_t* ip, const uint8_t* source, const uint8_t* destination);

// Changes an ICMP or ICMPv6 error: the addresses of its own IP header by `source` and `destination` (null: stays), and
// the packet that it quotes by `quoted`: addresses, ports, IPv4 header checksum, and the TCP or UDP checksum as far as
// the quote reaches. The ICMP checksum follows all of it. `packet.l4` is the ICMP header. The quote may begin with IPv6
// extension headers, as ParseQuotedFlow (icmp.h) walks them. False, and nothing changed, when the quote is cut before
// the end of the ports, is of another family, is no TCP or UDP, or is a fragment other than the first.
bool RewriteIcmpError(const PacketBytes& packet, const uint8_t* source, const uint8_t* destination,
                      const NatChange& quoted);

// One hop less, and the IPv4 header checksum. False, and nothing changed, when the packet has no hop left (TTL or hop
// limit of 1 or 0): it is to be answered with "time exceeded".
bool DecrementHopLimit(Family family, uint8_t* ip);

// Adds `delta` (modulo 2^32; a negative shift is its two's complement) to the sequence or acknowledgement number of a
// whole TCP header. SACK blocks, which speak of the same numbers as the acknowledgement: ShiftSackBlocks
// (tcp_options.h).
void ShiftSequence(uint8_t* tcp, uint32_t delta);
void ShiftAcknowledgement(uint8_t* tcp, uint32_t delta);

// Brings IP length, IPv4 header checksum and TCP checksum along when `size` bytes, `inserted`, were put in front of a
// segment's payload. `size` is even, so that what follows keeps its place in 16-bit words, and the packet stays below
// 64 KiB: the caller has checked both. Does not touch sequence numbers, and needs the payload in no way.
void AccountForInsertedPayload(const PacketBytes& packet, const uint8_t* inserted, uint16_t size);

// The same for the last `size` bytes of a segment, `cut`, that are taken off its end: any number, at most the payload.
// Called before or after they are.
void AccountForCutPayload(const PacketBytes& packet, const uint8_t* cut, uint16_t size);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_NAT_REWRITE_H_
