#include "dataplane/net/icmp_translate.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/icmp_error.h"
#include "dataplane/net/ip_header.h"

namespace sluice::net {
namespace {

constexpr uint32_t kQuoteOffset = sizeof(IcmpHeader);
constexpr uint32_t kHeaderDifference = sizeof(Ipv6Header) - sizeof(Ipv4Header);

constexpr uint8_t kNoRoute = 0;          // ICMPv6 unreachable
constexpr uint8_t kProhibited = 1;       // ICMPv6 unreachable
constexpr uint8_t kPortUnreachable = 4;  // ICMPv6 unreachable
constexpr uint8_t kBadField = 0;         // ICMPv6 parameter problem
constexpr uint8_t kUnknownNextHeader = 1;
constexpr uint8_t kNextHeaderPointer = offsetof(Ipv6Header, next_header);

// The pointer of a parameter problem, by ranges of the header's bytes (figures 3 and 6). What has no counterpart has no
// row.
struct PointerRange {
  uint32_t first;
  uint32_t last;
  uint32_t translated;
};
constexpr std::array<PointerRange, 7> kPointersToV6 = {
    {{0, 0, 0}, {1, 1, 1}, {2, 3, 4}, {8, 8, 7}, {9, 9, 6}, {12, 15, 8}, {16, 19, 24}}};
constexpr std::array<PointerRange, 7> kPointersToV4 = {
    {{0, 0, 0}, {1, 1, 1}, {4, 5, 2}, {6, 6, 9}, {7, 7, 8}, {8, 23, 12}, {24, 39, 16}}};

template <size_t kRows>
std::optional<uint32_t> TranslatePointer(const std::array<PointerRange, kRows>& table, uint32_t pointer) {
  for (const PointerRange& range : table) {
    if (pointer >= range.first && pointer <= range.last) return range.translated;
  }
  return std::nullopt;
}

// RFC 1191, section 7.1: the sizes that links have.
uint32_t PlateauBelow(uint32_t length) {
  for (const uint32_t plateau : {32000u, 17914u, 8166u, 4352u, 2002u, 1492u, 1006u, 508u, 296u}) {
    if (plateau < length) return plateau;
  }
  return 68;
}

std::optional<IcmpMessage> UnreachableToV6(const IcmpMessage& v4, const LinkMtus& mtus, uint32_t quoted_length) {
  switch (v4.code) {
    case 0:   // network unreachable
    case 1:   // host unreachable
    case 5:   // source route failed
    case 6:   // network unknown
    case 7:   // host unknown
    case 8:   // source host isolated
    case 11:  // network unreachable for the type of service
    case 12:  // host unreachable for the type of service
      return IcmpMessage{kIcmpv6Unreachable, kNoRoute, 0};
    case 2:  // protocol unreachable
      return IcmpMessage{kIcmpv6ParameterProblem, kUnknownNextHeader, kNextHeaderPointer};
    case 3:  // port unreachable
      return IcmpMessage{kIcmpv6Unreachable, kPortUnreachable, 0};
    case kIcmpCodeFragmentationNeeded: {
      const uint32_t told = v4.rest & 0xffff;
      const uint32_t mtu = (told != 0 ? told : PlateauBelow(quoted_length)) + kHeaderDifference;
      return IcmpMessage{kIcmpv6PacketTooBig, 0,
                         std::max(kMinMtuV6, std::min({mtu, mtus.v6, mtus.v4 + kHeaderDifference}))};
    }
    case 9:   // network prohibited
    case 10:  // host prohibited
    case 13:  // communication prohibited
    case 15:  // precedence cutoff
      return IcmpMessage{kIcmpv6Unreachable, kProhibited, 0};
    default:
      return std::nullopt;
  }
}

std::optional<IcmpMessage> UnreachableToV4(uint8_t code) {
  constexpr uint8_t kHostUnreachable = 1;
  constexpr uint8_t kPortUnreachableV4 = 3;
  constexpr uint8_t kHostProhibited = 10;
  switch (code) {
    case kNoRoute:
    case 2:  // beyond the scope of the source
    case 3:  // address unreachable
      return IcmpMessage{kIcmpUnreachable, kHostUnreachable, 0};
    case kProhibited:
      return IcmpMessage{kIcmpUnreachable, kHostProhibited, 0};
    case kPortUnreachable:
      return IcmpMessage{kIcmpUnreachable, kPortUnreachableV4, 0};
    default:
      return std::nullopt;
  }
}

// The quoted TCP or UDP bytes with the new ports, and the checksum if they reach over it.
void WriteQuotedL4(const PacketBytes& error, const QuotedFlow& flow, const NatChange& quoted, uint32_t size,
                   uint8_t* at) {
  std::memcpy(at, error.l4 + flow.l4_offset, size);
  Store(at + offsetof(UdpHeader, source_port), quoted.source_port);
  Store(at + offsetof(UdpHeader, destination_port), quoted.destination_port);
  if (size < L4ChecksumEnd(flow.protocol)) return;
  const bool from_v4 = error.family == Family::kIpv4;
  const size_t old_size = from_v4 ? 4 : 16;
  const size_t new_size = from_v4 ? 16 : 4;
  ChecksumDelta delta;
  delta.Remove(PartialSum(error.l4 + flow.source_offset, 2 * old_size));
  delta.Add(PartialSum(quoted.source, new_size));
  delta.Add(PartialSum(quoted.destination, new_size));
  delta.Replace(flow.source_port.raw(), quoted.source_port.raw());
  delta.Replace(flow.destination_port.raw(), quoted.destination_port.raw());
  delta.ApplyToL4(flow.protocol, at);
}

}  // namespace

std::optional<IcmpMessage> TranslateIcmpErrorToV6(const IcmpMessage& v4, const LinkMtus& mtus, uint32_t quoted_length) {
  switch (v4.type) {
    case kIcmpUnreachable:
      return UnreachableToV6(v4, mtus, quoted_length);
    case kIcmpTimeExceeded:
      return IcmpMessage{kIcmpv6TimeExceeded, v4.code, 0};
    case kIcmpParameterProblem: {
      // Code 1, a missing option, speaks of what IPv6 does not have; 2, a bad length, is told by the pointer as well.
      if (v4.code != 0 && v4.code != 2) return std::nullopt;
      const auto pointer = TranslatePointer(kPointersToV6, v4.rest >> 24);
      if (!pointer) return std::nullopt;
      return IcmpMessage{kIcmpv6ParameterProblem, kBadField, *pointer};
    }
    default:
      return std::nullopt;
  }
}

std::optional<IcmpMessage> TranslateIcmpErrorToV4(const IcmpMessage& v6, const LinkMtus& mtus) {
  switch (v6.type) {
    case kIcmpv6Unreachable:
      return UnreachableToV4(v6.code);
    case kIcmpv6PacketTooBig: {
      const auto less = [](uint32_t mtu) { return mtu > kHeaderDifference ? mtu - kHeaderDifference : 0; };
      const uint32_t mtu = std::min({less(v6.rest), mtus.v4, less(mtus.v6)});
      return IcmpMessage{kIcmpUnreachable, kIcmpCodeFragmentationNeeded, std::min<uint32_t>(mtu, UINT16_MAX)};
    }
    case kIcmpv6TimeExceeded:
      return IcmpMessage{kIcmpTimeExceeded, v6.code, 0};
    case kIcmpv6ParameterProblem: {
      constexpr uint8_t kProtocolUnreachable = 2;
      if (v6.code == kUnknownNextHeader) return IcmpMessage{kIcmpUnreachable, kProtocolUnreachable, 0};
      if (v6.code != kBadField) return std::nullopt;
      const auto pointer = TranslatePointer(kPointersToV4, v6.rest);
      if (!pointer) return std::nullopt;
      return IcmpMessage{kIcmpParameterProblem, 0, *pointer << 24};
    }
    default:
      return std::nullopt;
  }
}

uint32_t TranslateIcmpError(const PacketBytes& error, const uint8_t* source, const uint8_t* destination,
                            const NatChange& quoted, const LinkMtus& mtus, uint8_t* out) {
  const auto flow = ParseQuote(error.family, error.l4, kQuoteOffset, error.l4_bytes);
  if (!flow) return 0;
  const uint8_t* const old_quote = error.l4 + kQuoteOffset;
  const auto old_icmp = Load<IcmpHeader>(error.l4);
  const IcmpMessage old_message = {old_icmp.type, old_icmp.code, old_icmp.rest.Host()};
  const bool to_v6 = error.family == Family::kIpv4;
  const auto message = to_v6
                           ? TranslateIcmpErrorToV6(old_message, mtus, Load<Ipv4Header>(old_quote).total_length.Host())
                           : TranslateIcmpErrorToV4(old_message, mtus);
  IpHeaderFields fields = ReadIpHeader(error.family, error.ip);
  if (!message || fields.hop_limit <= 1) return 0;

  const Family to = to_v6 ? Family::kIpv6 : Family::kIpv4;
  const uint32_t ip_size = IpHeaderSize(to);
  const uint32_t l4_size = std::min(error.l4_bytes - flow->l4_offset, MaxIcmpQuote(to) - ip_size);
  uint8_t* const icmp = out + ip_size;
  uint8_t* const quote = icmp + sizeof(IcmpHeader);

  IpHeaderFields inner = ReadIpHeader(error.family, old_quote);
  // IPv6 extension headers of the quoted packet are left behind.
  const uint32_t extensions = to_v6 ? 0 : flow->l4_offset - kQuoteOffset - IpHeaderSize(error.family);
  inner.payload = static_cast<uint16_t>(inner.payload > extensions ? inner.payload - extensions : 0);
  inner.protocol = flow->protocol;
  inner.dont_fragment = true;
  WriteIpHeader(to, inner, quoted.source, quoted.destination, quote);
  WriteQuotedL4(error, *flow, quoted, l4_size, quote + ip_size);

  fields.protocol = to_v6 ? kProtocolIcmpv6 : kProtocolIcmp;
  fields.payload = static_cast<uint16_t>(sizeof(IcmpHeader) + ip_size + l4_size);
  fields.dont_fragment = true;
  --fields.hop_limit;
  WriteIpHeader(to, fields, source, destination, out);
  IcmpHeader header{};
  header.type = message->type;
  header.code = message->code;
  header.rest = Be32::FromHost(message->rest);
  Store(icmp, header);
  const uint32_t pseudo = to_v6 ? PseudoHeaderSum(to, source, destination, kProtocolIcmpv6, fields.payload) : 0;
  header.checksum = static_cast<uint16_t>(~FoldSum(PartialSum(icmp, fields.payload, pseudo)));
  Store(icmp, header);
  return ip_size + fields.payload;
}

}  // namespace sluice::net
