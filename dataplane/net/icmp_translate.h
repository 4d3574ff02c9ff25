#ifndef SLUICE_DATAPLANE_NET_ICMP_TRANSLATE_H_
#define SLUICE_DATAPLANE_NET_ICMP_TRANSLATE_H_

#include <cstdint>
#include <optional>

#include "dataplane/net/address.h"
#include "dataplane/net/nat_rewrite.h"

// ICMP errors of one family in terms of the other (RFC 7915, sections 4.2, 4.3, 5.2 and 5.3). Pure, any thread.
namespace sluice::net {

struct IcmpMessage {
  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t rest = 0;  // the 32 bits behind the checksum, in host order
  friend bool operator==(const IcmpMessage&, const IcmpMessage&) = default;
};

// Of the links on the two sides of the translator, in bytes of IP packet.
struct LinkMtus {
  uint32_t v4 = 0;
  uint32_t v6 = 0;
};

// Nothing: the other family has no such error, or the message is none; it is dropped. An MTU is told with the 20 bytes
// that the headers differ, and never larger than the links have it. Where an old router tells none (0), it is taken
// from the plateau below `quoted_length`, the total length that the quoted IPv4 header states (RFC 1191, section 7). To
// IPv6 never less than 1280 is told.
std::optional<IcmpMessage> TranslateIcmpErrorToV6(const IcmpMessage& v4, const LinkMtus& mtus, uint32_t quoted_length);
std::optional<IcmpMessage> TranslateIcmpErrorToV4(const IcmpMessage& v6, const LinkMtus& mtus);

// The largest error that TranslateIcmpError writes, in bytes.
inline constexpr uint32_t kMaxTranslatedError = 1280;

// Writes the whole of an error, `error` with its ICMP header at `l4`, as one of the other family to `out`: IP header,
// ICMP header, the quoted packet's IP header, and of what the quote has of its TCP or UDP packet as much as 576 (IPv4)
// or 1280 bytes (IPv6) leave room for. The error goes from `source` to `destination`, the quoted packet from and to
// what `quoted` says; all are addresses of the other family, and none is null. The checksum of a quoted L4 header
// follows as far as it is there. `out` has room for kMaxTranslatedError bytes and does not overlap the error.
//
// Returns the bytes written, or 0: the other family has no such error, no hop is left, or the quote is not one that
// ParseQuote (icmp.h) accepts. A quoted first fragment is told as a whole packet; extensions (RFC 4884) count as quote.
uint32_t TranslateIcmpError(const PacketBytes& error, const uint8_t* source, const uint8_t* destination,
                            const NatChange& quoted, const LinkMtus& mtus, uint8_t* out);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_ICMP_TRANSLATE_H_
