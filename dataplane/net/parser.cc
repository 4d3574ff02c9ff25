#include "dataplane/net/parser.h"

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"

namespace sluice::net {
namespace {

constexpr int kMaxVlanTags = 2;
// More extension headers than any sender has use for; bounds the walk.
constexpr int kMaxExtensionHeaders = 8;

// The frame with its bounds, and the headers as they are found.
class FrameParser {
 public:
  FrameParser(const uint8_t* frame, uint32_t contiguous, uint32_t frame_length)
      : frame_(frame), contiguous_(contiguous), frame_length_(frame_length) {}

  ParsedHeaders Run() {
    if (!ParseEthernet()) return headers_;
    const uint16_t type = headers_.ether_type.Host();
    if (type == kEtherTypeIpv4) {
      if (ParseIpv4()) ParseL4();
    } else if (type == kEtherTypeIpv6) {
      if (ParseIpv6()) ParseL4();
    } else {
      headers_.status = ParseStatus::kNotIp;
    }
    return headers_;
  }

 private:
  // True when `size` bytes from `offset` may be read; otherwise notes why not.
  bool Readable(uint32_t offset, uint32_t size) {
    if (offset + size <= contiguous_) return true;
    headers_.error = offset + size <= frame_length_ ? DropReason::kHeaderNotContiguous : DropReason::kTruncatedHeader;
    return false;
  }

  bool Fail(DropReason reason) {
    headers_.error = reason;
    return false;
  }

  bool ParseEthernet() {
    if (!Readable(0, sizeof(EtherHeader))) return false;
    uint32_t offset = sizeof(EtherHeader);
    Be16 type = Load<EtherHeader>(frame_).ether_type;
    while (type.Host() == kEtherTypeVlan || type.Host() == kEtherTypeQinQ) {
      if (headers_.vlan_tags == kMaxVlanTags) return Fail(DropReason::kTooManyVlanTags);
      if (!Readable(offset, sizeof(VlanTag))) return false;
      type = Load<VlanTag>(frame_ + offset).ether_type;
      offset += sizeof(VlanTag);
      ++headers_.vlan_tags;
    }
    headers_.ether_type = type;
    headers_.l3_offset = static_cast<uint16_t>(offset);
    return true;
  }

  bool ParseIpv4() {
    const uint32_t l3 = headers_.l3_offset;
    if (!Readable(l3, sizeof(Ipv4Header))) return false;
    const auto ip = Load<Ipv4Header>(frame_ + l3);
    if (ip.version_ihl >> 4 != 4) return Fail(DropReason::kBadIpVersion);
    const uint32_t header_length = (ip.version_ihl & 0x0fu) * 4;
    const uint32_t total_length = ip.total_length.Host();
    if (header_length < sizeof(Ipv4Header) || header_length > total_length) {
      return Fail(DropReason::kBadIpHeaderLength);
    }
    if (total_length > frame_length_ - l3) return Fail(DropReason::kBadIpLength);
    if (!Readable(l3, header_length)) return false;
    headers_.status = ParseStatus::kOk;
    headers_.family = Family::kIpv4;
    headers_.protocol = ip.protocol;
    headers_.ip_length = static_cast<uint16_t>(total_length);
    headers_.l4_offset = static_cast<uint16_t>(l3 + header_length);
    if ((ip.fragment.Host() & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) != 0) {
      headers_.l4_status = L4Status::kFragment;
      return false;
    }
    return true;
  }

  bool ParseIpv6() {
    const uint32_t l3 = headers_.l3_offset;
    if (!Readable(l3, sizeof(Ipv6Header))) return false;
    const auto ip = Load<Ipv6Header>(frame_ + l3);
    if (ip.version_class_flow.Host() >> 28 != 6) return Fail(DropReason::kBadIpVersion);
    const uint32_t ip_length = static_cast<uint32_t>(sizeof(Ipv6Header)) + ip.payload_length.Host();
    // The length of 65 536 and more cannot be told in 16 bits, and no port carries it.
    if (ip_length > frame_length_ - l3 || ip_length > UINT16_MAX) return Fail(DropReason::kBadIpLength);
    headers_.status = ParseStatus::kOk;
    headers_.family = Family::kIpv6;
    headers_.ip_length = static_cast<uint16_t>(ip_length);
    return WalkExtensionHeaders(ip.next_header, l3 + static_cast<uint32_t>(sizeof(Ipv6Header)), l3 + ip_length);
  }

  // Sets protocol and l4_offset to what follows the extension headers (RFC 8200, section 4). Errors here are errors of
  // L4, because the addresses are known: such a packet for the host is the host's business.
  bool WalkExtensionHeaders(uint8_t next, uint32_t offset, uint32_t end) {
    headers_.protocol = next;
    headers_.l4_offset = static_cast<uint16_t>(offset);
    for (int walked = 0;; ++walked) {
      uint32_t unit = 8;
      uint32_t base = 8;
      switch (next) {
        case kProtocolHopByHop:
        case kProtocolRouting:
        case kProtocolDestinationOptions:
          break;
        case kProtocolAuthentication:  // RFC 4302: length in units of 4 bytes, minus 2
          unit = 4;
          break;
        case kProtocolFragment:
          if (!IsAtomicFragment(offset, end)) {
            headers_.has_extension = true;
            headers_.protocol = next;
            headers_.l4_offset = static_cast<uint16_t>(offset);
            headers_.l4_status = L4Status::kFragment;
            return false;
          }
          unit = 0;
          break;
        default:
          headers_.protocol = next;
          headers_.l4_offset = static_cast<uint16_t>(offset);
          return true;
      }
      headers_.has_extension = true;
      if (walked == kMaxExtensionHeaders) return FailL4(DropReason::kExtensionHeader);
      if (offset + 2 > end) return FailL4(DropReason::kBadIpLength);
      if (!Readable(offset, 2)) return FailL4(headers_.error);
      next = frame_[offset];
      offset += base + frame_[offset + 1] * unit;
      if (offset > end) return FailL4(DropReason::kBadIpLength);
    }
  }

  // A fragment header on a whole packet (RFC 6946): offset 0 and no more fragments to come.
  bool IsAtomicFragment(uint32_t offset, uint32_t end) const {
    constexpr uint32_t kFragmentHeader = 8;
    if (offset + kFragmentHeader > end || offset + kFragmentHeader > contiguous_) return false;
    return (Load<Be16>(frame_ + offset + 2).Host() & 0xfff9) == 0;
  }

  bool FailL4(DropReason reason) {
    headers_.l4_status = L4Status::kError;
    headers_.error = reason;
    return false;
  }

  void ParseL4() {
    const uint32_t offset = headers_.l4_offset;
    const uint32_t l4_length = headers_.l3_offset + uint32_t{headers_.ip_length} - offset;
    if (headers_.protocol == kProtocolTcp) {
      if (l4_length < sizeof(TcpHeader)) {
        FailL4(DropReason::kBadL4Length);
        return;
      }
      if (!Readable(offset, sizeof(TcpHeader))) {
        FailL4(headers_.error);
        return;
      }
      const auto tcp = Load<TcpHeader>(frame_ + offset);
      const uint32_t header_length = (tcp.data_offset >> 4) * 4u;
      if (header_length < sizeof(TcpHeader) || header_length > l4_length) {
        FailL4(DropReason::kBadL4Length);
        return;
      }
      headers_.tcp_flags = tcp.flags;
      SetPorts(tcp.source_port, tcp.destination_port);
    } else if (headers_.protocol == kProtocolUdp) {
      if (l4_length < sizeof(UdpHeader)) {
        FailL4(DropReason::kBadL4Length);
        return;
      }
      if (!Readable(offset, sizeof(UdpHeader))) {
        FailL4(headers_.error);
        return;
      }
      const auto udp = Load<UdpHeader>(frame_ + offset);
      if (udp.length.Host() < sizeof(UdpHeader) || udp.length.Host() > l4_length) {
        FailL4(DropReason::kBadL4Length);
        return;
      }
      SetPorts(udp.source_port, udp.destination_port);
    } else {
      headers_.l4_status = L4Status::kOther;
    }
  }

  void SetPorts(Be16 source, Be16 destination) {
    headers_.l4_status = L4Status::kPorts;
    headers_.source_port = source;
    headers_.destination_port = destination;
  }

  const uint8_t* frame_;
  uint32_t contiguous_;
  uint32_t frame_length_;
  ParsedHeaders headers_;
};

}  // namespace

ParsedHeaders ParseFrame(const uint8_t* frame, uint32_t contiguous, uint32_t frame_length) {
  return FrameParser(frame, contiguous, frame_length).Run();
}

}  // namespace sluice::net
