#ifndef SLUICE_DATAPLANE_NET_IP_TRANSLATE_H_
#define SLUICE_DATAPLANE_NET_IP_TRANSLATE_H_

#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/nat_rewrite.h"

// Translation between IPv4 and IPv6 (NAT64, NAT46) by RFC 7915, of one packet that is whole and no fragment. Pure, any
// thread.
namespace sluice::net {

enum class TranslateResult : uint8_t {
  kDone,
  kNoHopLeft,      // to be answered with "time exceeded"
  kUnsupported,    // not TCP or UDP, a fragment, an IPv6 extension header, or an IPv4 source route that is not yet
                   // walked to its end (section 4.1)
  kNotContiguous,  // an IPv4 UDP packet without a checksum, which IPv6 demands, whose bytes are not all in reach
};

// Writes the IPv6 header of the translated packet to `header` (40 bytes, which may overlap the old header), and changes
// ports and checksum of the L4 header in place. The caller puts the two together: the new packet is `header` followed
// by what begins at `packet.l4`. `change` has both addresses, of 16 bytes. Anything but kDone: nothing was changed.
//
// The traffic class is the TOS, the hop limit one less than the TTL, the flow label 0. IPv4 options are left behind.
// The difference of the headers makes the packet at least 20 bytes longer; whether it still fits is the caller's to see
// before.
TranslateResult TranslateToV6(const PacketBytes& packet, const NatChange& change, uint8_t* header);

// The same the other way: an IPv4 header of 20 bytes; `change` has both addresses, of 4 bytes. `id` goes into the IPv4
// header of packets of up to 1260 bytes, which may be fragmented further on (DF clear); larger ones have DF set and id
// 0 (section 5.1; RFC 6864).
TranslateResult TranslateToV4(const PacketBytes& packet, const NatChange& change, Be16 id, uint8_t* header);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_IP_TRANSLATE_H_
