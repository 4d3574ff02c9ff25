#include "dataplane/net/ip_fragment.h"

#include <algorithm>
#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/option_walk.h"

namespace sluice::net {
namespace {

constexpr uint32_t kUnit = 8;  // in which fragment offsets count
constexpr uint32_t kMaxPacket = UINT16_MAX;
// A first fragment may hold destination options and the like between its fragment header and the ports.
constexpr int kMaxExtensionsInFragment = 4;

constexpr uint8_t kOptionCopied = 0x80;  // of an IPv4 option's kind (RFC 791, section 3.1)

uint32_t EndOfPacket(const ParsedHeaders& headers) { return uint32_t{headers.l3_offset} + headers.ip_length; }

bool IsPossible(const FragmentInfo& info, uint32_t header_bytes) {
  if (info.payload_length == 0) return false;
  if (info.more && info.payload_length % kUnit != 0) return false;
  return header_bytes + info.offset + info.payload_length <= kMaxPacket;
}

// Where TCP or UDP begins in a first IPv6 fragment, and which; its extension headers must be all there (RFC 7112).
bool WalkExtensions(const uint8_t* frame, uint32_t end, uint8_t* next, uint32_t* at) {
  for (int walked = 0; walked <= kMaxExtensionsInFragment; ++walked) {
    if (*next == kProtocolTcp || *next == kProtocolUdp) return true;
    if (*next != kProtocolHopByHop && *next != kProtocolRouting && *next != kProtocolDestinationOptions) return false;
    if (*at + kUnit > end) return false;
    *next = frame[*at];
    *at += kUnit + frame[*at + 1] * kUnit;
  }
  return false;
}

// Copies the options with the copy bit behind the fixed header at `out`; returns the header's length with them, padded
// to 32 bits. A malformed option ends the walk: what follows it cannot be told apart.
uint8_t CopyOptions(const uint8_t* ip, uint8_t header_length, uint8_t* out) {
  uint8_t length = sizeof(Ipv4Header);
  OptionWalk walk(ip, sizeof(Ipv4Header), header_length);
  while (const auto option = walk.Next()) {
    if ((option->kind & kOptionCopied) == 0) continue;
    std::memcpy(out + length, ip + option->offset, option->length);
    length = static_cast<uint8_t>(length + option->length);
  }
  while (length % 4 != 0) out[length++] = kOptionEnd;
  out[0] = static_cast<uint8_t>(0x40 | length / 4);
  return length;
}

}  // namespace

std::optional<FragmentInfo> ParseFragment(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers) {
  FragmentInfo info;
  uint32_t payload = headers.l4_offset;
  uint32_t header_bytes = 0;  // that the whole packet has before its fragmented part, and that count into 64 KiB
  if (headers.family == Family::kIpv4) {
    const auto ip = Load<Ipv4Header>(frame + headers.l3_offset);
    const uint16_t field = ip.fragment.Host();
    info.id = ip.id.Host();
    info.offset = static_cast<uint16_t>((field & kIpv4FragmentOffsetMask) * kUnit);
    info.more = (field & kIpv4MoreFragments) != 0;
    info.protocol = ip.protocol;
    header_bytes = payload - headers.l3_offset;
  } else {
    if (payload + kUnit > contiguous || payload + kUnit > EndOfPacket(headers)) return std::nullopt;
    const auto extension = Load<Ipv6FragmentHeader>(frame + payload);
    const uint16_t field = extension.fragment.Host();
    info.id = extension.id.Host();
    info.offset = field & kIpv6FragmentOffsetMask;
    info.more = (field & kIpv6MoreFragments) != 0;
    info.protocol = extension.next_header;
    header_bytes = payload - headers.l3_offset - static_cast<uint32_t>(sizeof(Ipv6Header));
    payload += kUnit;
  }
  info.payload_offset = static_cast<uint16_t>(payload);
  info.payload_length = static_cast<uint16_t>(EndOfPacket(headers) - payload);
  if (!IsPossible(info, header_bytes)) return std::nullopt;
  return info;
}

std::optional<FragmentPorts> ParseFragmentPorts(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers,
                                                const FragmentInfo& fragment) {
  if (!fragment.is_first()) return std::nullopt;
  const uint32_t end = std::min(contiguous, uint32_t{fragment.payload_offset} + fragment.payload_length);
  uint8_t protocol = fragment.protocol;
  uint32_t at = fragment.payload_offset;
  if (headers.family == Family::kIpv6) {
    if (!WalkExtensions(frame, end, &protocol, &at)) return std::nullopt;
  } else if (protocol != kProtocolTcp && protocol != kProtocolUdp) {
    return std::nullopt;
  }
  const uint32_t needed = protocol == kProtocolTcp ? sizeof(TcpHeader) : sizeof(UdpHeader);
  if (at + needed > end) return std::nullopt;
  FragmentPorts ports;
  ports.protocol = protocol;
  ports.l4_offset = static_cast<uint16_t>(at);
  ports.source = Load<Be16>(frame + at);
  ports.destination = Load<Be16>(frame + at + sizeof(Be16));
  return ports;
}

Ipv4FragmentPlan::Ipv4FragmentPlan(const uint8_t* ip) {
  const auto header = Load<Ipv4Header>(ip);
  first_header_length_ = static_cast<uint8_t>((header.version_ihl & 0x0f) * 4);
  std::memcpy(first_header_.data(), ip, first_header_length_);
  std::memcpy(other_header_.data(), ip, sizeof(Ipv4Header));
  other_header_length_ = CopyOptions(ip, first_header_length_, other_header_.data());
  total_payload_ = static_cast<uint16_t>(header.total_length.Host() - first_header_length_);
}

std::optional<Ipv4FragmentPlan> Ipv4FragmentPlan::WithSizes(uint32_t first_payload, uint32_t other_payload) {
  const bool may_be_cut = (Load<Ipv4Header>(first_header_.data()).fragment.Host() & kIpv4DontFragment) == 0;
  if (!may_be_cut || first_payload < kUnit || first_payload >= total_payload_) return std::nullopt;
  first_payload_ = static_cast<uint16_t>(first_payload / kUnit * kUnit);
  other_payload_ = static_cast<uint16_t>(other_payload / kUnit * kUnit);
  const uint32_t rest = uint32_t{total_payload_} - first_payload_;
  count_ = 1 + (rest + other_payload_ - 1) / other_payload_;
  return *this;
}

std::optional<Ipv4FragmentPlan> Ipv4FragmentPlan::Make(const uint8_t* ip, uint32_t mtu_bytes) {
  Ipv4FragmentPlan plan(ip);
  if (mtu_bytes < plan.first_header_length_) return std::nullopt;
  return plan.WithSizes(mtu_bytes - plan.first_header_length_, mtu_bytes - plan.other_header_length_);
}

std::optional<Ipv4FragmentPlan> Ipv4FragmentPlan::MakeByPayload(const uint8_t* ip, uint32_t payload_bytes) {
  return Ipv4FragmentPlan(ip).WithSizes(payload_bytes, payload_bytes);
}

Ipv4FragmentPlan::Piece Ipv4FragmentPlan::piece(uint32_t index) const {
  if (index == 0) return {.payload_offset = 0, .payload_length = first_payload_, .header_length = first_header_length_};
  const uint32_t offset = first_payload_ + (index - 1) * other_payload_;
  return {.payload_offset = static_cast<uint16_t>(offset),
          .payload_length = static_cast<uint16_t>(std::min<uint32_t>(other_payload_, total_payload_ - offset)),
          .header_length = other_header_length_};
}

void Ipv4FragmentPlan::WriteHeader(uint32_t index, uint8_t* out) const {
  const Piece own = piece(index);
  std::memcpy(out, index == 0 ? first_header_.data() : other_header_.data(), own.header_length);
  auto header = Load<Ipv4Header>(out);
  const uint16_t field = header.fragment.Host();
  // The original may be a fragment itself: its place and its "more" hold for its pieces.
  const bool more = index + 1 < count_ || (field & kIpv4MoreFragments) != 0;
  const auto units = static_cast<uint16_t>((field & kIpv4FragmentOffsetMask) + own.payload_offset / kUnit);
  header.fragment = Be16::FromHost(static_cast<uint16_t>(units | (more ? kIpv4MoreFragments : 0)));
  header.total_length = Be16::FromHost(static_cast<uint16_t>(own.header_length + own.payload_length));
  header.checksum = 0;
  Store(out, header);
  header.checksum = InternetChecksum(out, own.header_length);
  Store(out, header);
}

}  // namespace sluice::net
