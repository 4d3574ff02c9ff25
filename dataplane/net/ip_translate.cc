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
std::optional<uint32_t> FindOpenRouteV4(const uint8_t* ip) {
  OptionWalk walk(ip, sizeof(Ipv4Header), static_cast<uint8_t>((ip[0] & 0x0f) * 4));
  while (const auto option = walk.Next()) {
    const bool route = option->kind == kOptionLooseSourceRoute || option->kind == kOptionStrictSourceRoute;
    if (route && option->length > 2 && ip[option->offset + 2] <= option->length) return option->offset + 2;
  }
  return std::nullopt;
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

void WriteTranslated(Family to, IpHeaderFields fields, const NatChange& change, uint8_t* header) {
  --fields.hop_limit;
  WriteIpHeader(to, fields, change.source, change.destination, header);
}

// What IPv6 puts between its fixed header and L4.
struct Extensions {
  bool translatable = true;
  bool has_fragment = false;
  Ipv6FragmentHeader fragment{};
  std::optional<uint32_t> open_route;  // offset of its segments left

  uint16_t offset() const { return fragment.fragment.Host() & kIpv6FragmentOffsetMask; }
  bool more() const { return (fragment.fragment.Host() & kIpv6MoreFragments) != 0; }
};

// Section 5.1: options and a route that was walked to its end are ignored; a route with stations to come and what
// authenticates the packet as it is cannot be translated, nor can a fragment whose fragmented part begins with another
// extension header (section 5.1.1).
Extensions ReadExtensions(const PacketBytes& packet) {
  Extensions found;
  uint8_t next = Load<Ipv6Header>(packet.ip).next_header;
  const auto end = static_cast<uint32_t>(packet.l4 - packet.ip);
  uint32_t at = sizeof(Ipv6Header);
  constexpr uint32_t kExtensionUnit = 8;
  while (at < end && found.translatable) {
    const uint8_t* const header = packet.ip + at;
    uint32_t length = kExtensionUnit;
    if (end - at < kExtensionUnit) {
      found.translatable = false;
      break;
    }
    if (next == kProtocolFragment) {
      found.has_fragment = true;
      found.fragment = Load<Ipv6FragmentHeader>(header);
      const bool atomic = found.offset() == 0 && !found.more();
      found.translatable = atomic || at + kExtensionUnit == end;
    } else if (next == kProtocolHopByHop || next == kProtocolDestinationOptions || next == kProtocolRouting) {
      constexpr size_t kSegmentsLeft = 3;
      if (next == kProtocolRouting && header[kSegmentsLeft] != 0) found.open_route = at + kSegmentsLeft;
      found.translatable = !found.open_route.has_value();
      length = kExtensionUnit + header[1] * kExtensionUnit;
    } else {
      found.translatable = false;
    }
    next = header[0];
    at += length;
  }
  found.translatable = found.translatable && at == end && next == packet.protocol;
  return found;
}

}  // namespace

uint32_t TranslatedHeaderSize(const PacketBytes& packet) {
  if (packet.family == Family::kIpv6) return sizeof(Ipv4Header);
  return sizeof(Ipv6Header) +
         (ReadIpHeader(Family::kIpv4, packet.ip).fragment == 0 ? 0 : static_cast<uint32_t>(sizeof(Ipv6FragmentHeader)));
}

std::optional<uint32_t> FindOpenRoute(const PacketBytes& packet) {
  return packet.family == Family::kIpv4 ? FindOpenRouteV4(packet.ip) : ReadExtensions(packet).open_route;
}

TranslateResult CompleteUdpChecksum(const PacketBytes& packet) {
  if (!CanTranslateL4(packet)) return TranslateResult::kUnsupported;
  if (!IsUdpWithoutChecksum(packet)) return TranslateResult::kDone;
  const uint16_t length = Load<UdpHeader>(packet.l4).length.Host();
  // Of a fragment's datagram nobody here has all the bytes.
  const bool is_fragment = ReadIpHeader(Family::kIpv4, packet.ip).fragment != 0;
  if (length < sizeof(UdpHeader) || is_fragment) return TranslateResult::kUnsupported;
  if (length > packet.l4_bytes) return TranslateResult::kNotContiguous;
  StoreUdpChecksum(packet, PartialSum(packet.l4, length, UdpPseudoHeaderSum(packet)));
  return TranslateResult::kDone;
}

uint32_t UdpPseudoHeaderSum(const PacketBytes& packet) {
  return PseudoHeaderSum(Family::kIpv4, packet.ip + offsetof(Ipv4Header, source),
                         packet.ip + offsetof(Ipv4Header, destination), kProtocolUdp,
                         Load<UdpHeader>(packet.l4).length.Host());
}

void StoreUdpChecksum(const PacketBytes& packet, uint32_t sum) {
  const auto checksum = static_cast<uint16_t>(~FoldSum(sum));
  Store(packet.l4 + offsetof(UdpHeader, checksum), checksum == 0 ? uint16_t{0xffff} : checksum);
}

TranslateResult TranslateToV6(const PacketBytes& packet, const NatChange& change, uint8_t* header) {
  const auto old = Load<Ipv4Header>(packet.ip);
  IpHeaderFields fields = ReadIpHeader(Family::kIpv4, packet.ip);
  const bool has_ports = (fields.fragment & kIpv4FragmentOffsetMask) == 0;
  if (FindOpenRouteV4(packet.ip)) return TranslateResult::kUnsupported;
  if (old.ttl <= 1) return TranslateResult::kNoHopLeft;
  if (has_ports) {
    const TranslateResult complete = CompleteUdpChecksum(packet);
    if (complete != TranslateResult::kDone) return complete;
    TranslateL4(packet, change, 4, 16);
  } else if (L4ChecksumEnd(packet.protocol) == 0) {
    return TranslateResult::kUnsupported;
  }
  if (fields.fragment == 0) {
    WriteTranslated(Family::kIpv6, fields, change, header);
    return TranslateResult::kDone;
  }
  Ipv6FragmentHeader extension{};
  extension.next_header = fields.protocol;
  extension.fragment =
      Be16::FromHost(static_cast<uint16_t>((fields.fragment & kIpv4FragmentOffsetMask) << 3 |
                                           (fields.fragment & kIpv4MoreFragments ? kIpv6MoreFragments : 0)));
  extension.id = Be32::FromHost(fields.id.Host());
  fields.protocol = kProtocolFragment;
  fields.payload = static_cast<uint16_t>(fields.payload + sizeof(extension));
  WriteTranslated(Family::kIpv6, fields, change, header);
  Store(header + sizeof(Ipv6Header), extension);
  return TranslateResult::kDone;
}

TranslateResult TranslateToV4(const PacketBytes& packet, const NatChange& change, Be16 id, uint8_t* header) {
  IpHeaderFields fields = ReadIpHeader(Family::kIpv6, packet.ip);
  const Extensions extensions = ReadExtensions(packet);
  const auto extension_bytes = static_cast<uint32_t>(packet.l4 - packet.ip) - static_cast<uint32_t>(sizeof(Ipv6Header));
  const bool has_ports = extensions.offset() == 0;
  if (!extensions.translatable || extension_bytes > fields.payload || L4ChecksumEnd(packet.protocol) == 0 ||
      (has_ports && !CanTranslateL4(packet))) {
    return TranslateResult::kUnsupported;
  }
  const uint32_t total = static_cast<uint32_t>(sizeof(Ipv4Header)) + fields.payload - extension_bytes;
  if (total + extensions.offset() > UINT16_MAX) return TranslateResult::kUnsupported;
  if (fields.hop_limit <= 1) return TranslateResult::kNoHopLeft;
  if (has_ports) TranslateL4(packet, change, 16, 4);
  fields.payload = static_cast<uint16_t>(fields.payload - extension_bytes);
  fields.protocol = packet.protocol;
  fields.dont_fragment = !extensions.has_fragment && total > kMaxFragmentable;
  fields.id = extensions.has_fragment ? Be16::FromHost(static_cast<uint16_t>(extensions.fragment.id.Host())) : id;
  fields.fragment = static_cast<uint16_t>(extensions.offset() >> 3 | (extensions.more() ? kIpv4MoreFragments : 0));
  WriteTranslated(Family::kIpv4, fields, change, header);
  return TranslateResult::kDone;
}

}  // namespace sluice::net
