#include "dataplane/net/icmp.h"

#include <algorithm>
#include <cstring>

#include "dataplane/net/headers.h"

namespace sluice::net {
namespace {

// The bytes of the IP packet that may be read: what it says it holds, and what is there.
uint32_t ReadableEnd(uint32_t contiguous, const ParsedHeaders& headers) {
  return std::min<uint32_t>(contiguous, uint32_t{headers.l3_offset} + headers.ip_length);
}

bool HasIcmpHeader(uint32_t contiguous, const ParsedHeaders& headers) {
  return uint32_t{headers.l4_offset} + sizeof(IcmpHeader) <= ReadableEnd(contiguous, headers);
}

// The first eight bytes of a transport header, which every router quotes, hold the ports of TCP and UDP.
constexpr uint32_t kQuotedL4Bytes = 8;

std::optional<QuotedFlow> FinishQuote(const uint8_t* frame, uint32_t end, uint32_t l4, QuotedFlow flow) {
  if (flow.protocol != kProtocolTcp && flow.protocol != kProtocolUdp) return std::nullopt;
  if (l4 + kQuotedL4Bytes > end) return std::nullopt;
  uint16_t ports[2];
  std::memcpy(ports, frame + l4, sizeof(ports));
  flow.source_port = Be16::FromRaw(ports[0]);
  flow.destination_port = Be16::FromRaw(ports[1]);
  flow.l4_offset = static_cast<uint16_t>(l4);
  return flow;
}

std::optional<QuotedFlow> QuoteV4(const uint8_t* frame, uint32_t end, uint32_t quote) {
  if (quote + sizeof(Ipv4Header) > end) return std::nullopt;
  Ipv4Header ip;
  std::memcpy(&ip, frame + quote, sizeof(ip));
  const uint32_t header_length = (ip.version_ihl & 0x0fu) * 4;
  if (ip.version_ihl >> 4 != 4 || header_length < sizeof(Ipv4Header)) return std::nullopt;
  if ((ip.fragment.Host() & kIpv4FragmentOffsetMask) != 0) return std::nullopt;
  QuotedFlow flow;
  flow.protocol = ip.protocol;
  flow.source_offset = static_cast<uint16_t>(quote + offsetof(Ipv4Header, source));
  flow.destination_offset = static_cast<uint16_t>(quote + offsetof(Ipv4Header, destination));
  return FinishQuote(frame, end, quote + header_length, flow);
}

// A large answer leaves the VIP in fragments, so the quote may have a fragment header, and rarely others before.
constexpr int kMaxQuotedExtensions = 4;

// Bytes of the extension header of type `next` at `at`, if it is one that can stand before a flow's ports and is all
// there; otherwise 0, as for a fragment other than the first, which has no ports.
uint32_t ExtensionLength(const uint8_t* frame, uint32_t end, uint8_t next, uint32_t at) {
  constexpr uint32_t kExtensionUnit = 8;
  if (at + kExtensionUnit > end) return 0;
  switch (next) {
    case kProtocolHopByHop:
    case kProtocolRouting:
    case kProtocolDestinationOptions:
      return kExtensionUnit + frame[at + 1] * kExtensionUnit;
    case kProtocolFragment:
      return (frame[at + 2] | (frame[at + 3] & 0xf8)) == 0 ? kExtensionUnit : 0;
    default:
      return 0;
  }
}

std::optional<QuotedFlow> QuoteV6(const uint8_t* frame, uint32_t end, uint32_t quote) {
  if (quote + sizeof(Ipv6Header) > end) return std::nullopt;
  Ipv6Header ip;
  std::memcpy(&ip, frame + quote, sizeof(ip));
  if (ip.version_class_flow.Host() >> 28 != 6) return std::nullopt;
  QuotedFlow flow;
  flow.source_offset = static_cast<uint16_t>(quote + offsetof(Ipv6Header, source));
  flow.destination_offset = static_cast<uint16_t>(quote + offsetof(Ipv6Header, destination));
  uint8_t next = ip.next_header;
  uint32_t at = quote + static_cast<uint32_t>(sizeof(Ipv6Header));
  for (int walked = 0; walked < kMaxQuotedExtensions; ++walked) {
    const uint32_t length = ExtensionLength(frame, end, next, at);
    if (length == 0) break;
    next = frame[at];
    at += length;
  }
  flow.protocol = next;
  return FinishQuote(frame, end, at, flow);
}

}  // namespace

bool IsIcmpError(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers) {
  if (!HasIcmpHeader(contiguous, headers)) return false;
  const uint8_t type = frame[headers.l4_offset];
  if (headers.family == Family::kIpv6) return type < kIcmpv6FirstInformational;
  return type == kIcmpUnreachable || type == kIcmpTimeExceeded || type == kIcmpParameterProblem;
}

std::optional<QuotedFlow> ParseQuote(Family family, const uint8_t* bytes, uint32_t quote, uint32_t end) {
  return family == Family::kIpv4 ? QuoteV4(bytes, end, quote) : QuoteV6(bytes, end, quote);
}

std::optional<QuotedFlow> ParseQuotedFlow(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers) {
  const uint32_t end = ReadableEnd(contiguous, headers);
  const uint32_t quote = uint32_t{headers.l4_offset} + static_cast<uint32_t>(sizeof(IcmpHeader));
  return ParseQuote(headers.family, frame, quote, end);
}

bool IsEchoRequest(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers) {
  if (!HasIcmpHeader(contiguous, headers)) return false;
  return frame[headers.l4_offset] == (headers.family == Family::kIpv4 ? kIcmpEchoRequest : kIcmpv6EchoRequest);
}

}  // namespace sluice::net
