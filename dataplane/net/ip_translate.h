#ifndef SLUICE_DATAPLANE_NET_IP_TRANSLATE_H_
#define SLUICE_DATAPLANE_NET_IP_TRANSLATE_H_

#include <cstdint>
#include <optional>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/nat_rewrite.h"

// Translation between IPv4 and IPv6 (NAT64, NAT46) by RFC 7915, of one packet, whole or a fragment. Pure, any thread.
namespace sluice::net {

enum class TranslateResult : uint8_t {
  kDone,
  kNoHopLeft,    // to be answered with "time exceeded"
  kUnsupported,  // not TCP or UDP; an IPv4 or IPv6 source route that is not yet walked to its end (sections 4.1, 5.1);
                 // an IPv6 extension header that is not to be ignored, or that comes behind the fragment header
                 // (5.1.1); the first fragment of an IPv4 UDP datagram without a checksum (4.5)
  kNotContiguous,  // an IPv4 UDP packet without a checksum, which IPv6 demands, whose bytes are not all in reach
};

// An IPv6 header with a fragment header behind it.
inline constexpr uint32_t kMaxTranslatedHeader = 48;

// Bytes of the IP header that the packet gets in the other family, with a fragment header for IPv4 fragments.
uint32_t TranslatedHeaderSize(const PacketBytes& packet);

// Writes the IPv6 header of the translated packet to `header` (TranslatedHeaderSize bytes, which may overlap the old
// header but not what is behind it), and changes ports and checksum of the L4 header in place, where the packet has
// one. The caller puts the two together: the new packet is `header` followed by what begins at `packet.l4`. `change`
// has both addresses, of 16 bytes. Of a fragment other than the first, `packet.l4` is its payload and `protocol` that
// of the flow. Anything but kDone: nothing was changed.
//
// The traffic class is the TOS, the hop limit one less than the TTL, the flow label 0, a fragment's id the IPv4 one.
// IPv4 options are left behind. The difference of the headers makes the packet longer; whether it still fits is the
// caller's to see before.
TranslateResult TranslateToV6(const PacketBytes& packet, const NatChange& change, uint8_t* header);

// The same the other way: an IPv4 header of 20 bytes; `change` has both addresses, of 4 bytes. A fragment keeps the
// lower half of its id, and DF stays clear (section 5.1.1). `id` goes into the IPv4 header of other packets of up to
// 1260 bytes, which may be fragmented further on (DF clear); larger ones have DF set and id 0 (section 5.1; RFC 6864).
TranslateResult TranslateToV4(const PacketBytes& packet, const NatChange& change, Be16 id, uint8_t* header);

// Where a source route that is not yet walked to its end has what says so (in IPv6 the segments left), in bytes from
// the packet's beginning; none: there is no such route. Its sender is to be told (sections 4.1, 5.1).
std::optional<uint32_t> FindOpenRoute(const PacketBytes& packet);

// Gives a whole IPv4 UDP packet the checksum that its sender left out (section 4.5), for which all of it must be in
// reach; leaves others as they are. To be done before such a packet is cut into fragments.
TranslateResult CompleteUdpChecksum(const PacketBytes& packet);

// The two halves of that, for who has the rest of a packet that is kNotContiguous: what the checksum begins with, and
// the writing of it when PartialSum of the datagram, as long as its header says, was added to `sum`.
uint32_t UdpPseudoHeaderSum(const PacketBytes& packet);
void StoreUdpChecksum(const PacketBytes& packet, uint32_t sum);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_IP_TRANSLATE_H_
