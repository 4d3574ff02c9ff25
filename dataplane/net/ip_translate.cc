#include "dataplane/net/ip_translate.h"

#include <cstddef>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/ip_header.h"
#include "dataplane/net/option_walk.h"

namespace sluice::net {
namespace {

// The largest translated IPv4 packet that may be fragmented on its way: 1280 less the difference of the headers.
constexpr uint32_t kMaxFragmentable = 1260;

constexpr uint8_t kOptionLooseSourceRoute = 131;
constexpr uint8_t kOptionStrictSourceRoute = 137;

// A source route with addresses yet to be visited: its pointer (third byte) is not beyond its length (RFC 791).
bool HasOpenSourceRoute(const uint8_t* ip, uint8_t header_length) {
  OptionWalk walk(ip, sizeof(Ipv4Header), header_length);
  while (const auto option = walk.Next()) {
    const bool route = option->kind == kOptionLooseSourceRoute || option->kind == kOptionStrictSourceRoute;
    if (route && option->length > 2 && ip[option->offset + 2] <= option->length) return true;
  }
  return false;
}

bool CanTranslateL4(const PacketBytes& packet) {
  const uint32_t needed = L4ChecksumEnd(packet.protocol);
  return needed != 0 && packet.l4_bytes >= needed;
}

void StorePorts(const NatChange& change, uint8_t* l4, ChecksumDelta* delta) {
  uint8_t* const source = l4 + offsetof(UdpHeader, source_port);
  uint8_t* const destination = l4 + offsetof(UdpHeader, destination_port);
  delta->Replace(Load<uint16_t>(source), change.source_port.raw());
  delta->Replace(Load<uint16_t>(destination), change.destination_port.raw());
  Store(source, change.source_port);
  Store(destination, change.destination_port);
}

// The ports, and the checksum by what they and the addresses differ. Length and protocol count the same in both
// families' pseudo headers.
void TranslateL4(const PacketBytes& packet, const NatChange& change, size_t old_size, size_t new_size) {
  const size_t source = packet.family == Family::kIpv4 ? offsetof(Ipv4Header, source) : offsetof(Ipv6Header, source);
  ChecksumDelta delta;
  delta.Remove(PartialSum(packet.ip + source, 2 * old_size));
  delta.Add(PartialSum(change.source, new_size));
  delta.Add(PartialSum(change.destination, new_size));
  StorePorts(change, packet.l4, &delta);
  delta.ApplyToL4(packet.protocol, packet.l4);
}

bool IsUdpWithoutChecksum(const PacketBytes& packet) {
  return packet.protocol == kProtocolUdp && Load<UdpHeader>(packet.l4).checksum == 0;
}

// Section 4.5: the translator computes the checksum that the sender left out.
void ComputeUdpChecksumV6(const NatChange& change, uint16_t length, uint8_t* l4) {
  const uint32_t pseudo = PseudoHeaderSum(Family::kIpv6, change.source, change.destination, kProtocolUdp, length);
  const auto checksum = static_cast<uint16_t>(~FoldSum(PartialSum(l4, length, pseudo)));
  Store(l4 + offsetof(UdpHeader, checksum), checksum == 0 ? uint16_t{0xffff} : checksum);
}

void WriteTranslated(Family to, IpHeaderFields fields, const NatChange& change, uint8_t* header) {
  --fields.hop_limit;
  WriteIpHeader(to, fields, change.source, change.destination, header);
}

}  // namespace

TranslateResult TranslateToV6(const PacketBytes& packet, const NatChange& change, uint8_t* header) {
  const auto old = Load<Ipv4Header>(packet.ip);
  const auto header_length = static_cast<uint8_t>((old.version_ihl & 0x0f) * 4);
  if (!CanTranslateL4(packet) || (old.fragment.Host() & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) != 0 ||
      HasOpenSourceRoute(packet.ip, header_length)) {
    return TranslateResult::kUnsupported;
  }
  if (old.ttl <= 1) return TranslateResult::kNoHopLeft;
  if (IsUdpWithoutChecksum(packet)) {
    const uint16_t length = Load<UdpHeader>(packet.l4).length.Host();
    if (length < sizeof(UdpHeader)) return TranslateResult::kUnsupported;
    if (length > packet.l4_bytes) return TranslateResult::kNotContiguous;
    ChecksumDelta unused;
    StorePorts(change, packet.l4, &unused);
    ComputeUdpChecksumV6(change, length, packet.l4);
  } else {
    TranslateL4(packet, change, 4, 16);
  }
  WriteTranslated(Family::kIpv6, ReadIpHeader(Family::kIpv4, packet.ip), change, header);
  return TranslateResult::kDone;
}

TranslateResult TranslateToV4(const PacketBytes& packet, const NatChange& change, Be16 id, uint8_t* header) {
  const auto old = Load<Ipv6Header>(packet.ip);
  const uint32_t total = static_cast<uint32_t>(sizeof(Ipv4Header)) + old.payload_length.Host();
  // An extension header would be counted in the payload.
  if (!CanTranslateL4(packet) || old.next_header != packet.protocol || total > UINT16_MAX) {
    return TranslateResult::kUnsupported;
  }
  if (old.hop_limit <= 1) return TranslateResult::kNoHopLeft;
  TranslateL4(packet, change, 16, 4);
  IpHeaderFields fields = ReadIpHeader(Family::kIpv6, packet.ip);
  fields.dont_fragment = total > kMaxFragmentable;
  fields.id = id;
  WriteTranslated(Family::kIpv4, fields, change, header);
  return TranslateResult::kDone;
}

}  // namespace sluice::net
