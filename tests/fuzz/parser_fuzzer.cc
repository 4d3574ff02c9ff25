// The parser on any bytes, cut anywhere: it reads nothing beyond them (AddressSanitizer watches a buffer of exactly
// their size), and the offsets it reports lie inside the frame and in the order of the headers.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "dataplane/base/check.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/ip_fragment.h"
#include "dataplane/net/parser.h"

namespace sluice::net {
namespace {

bool IsParseError(DropReason reason) {
  switch (reason) {
    case DropReason::kTruncatedHeader:
    case DropReason::kHeaderNotContiguous:
    case DropReason::kTooManyVlanTags:
    case DropReason::kBadIpVersion:
    case DropReason::kBadIpHeaderLength:
    case DropReason::kBadIpLength:
    case DropReason::kBadL4Length:
    case DropReason::kExtensionHeader:
      return true;
    default:
      return false;
  }
}

void CheckL3(const ParsedHeaders& h, uint32_t contiguous, uint32_t frame_length) {
  const uint32_t fixed = h.family == Family::kIpv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  SLUICE_CHECK(h.l3_offset == sizeof(EtherHeader) + h.vlan_tags * sizeof(VlanTag));
  SLUICE_CHECK(h.l3_offset + fixed <= contiguous);
  SLUICE_CHECK(h.ip_length >= fixed);
  SLUICE_CHECK(uint32_t{h.l3_offset} + h.ip_length <= frame_length);
  SLUICE_CHECK(h.l4_offset >= h.l3_offset + fixed);
  SLUICE_CHECK(h.l4_offset <= uint32_t{h.l3_offset} + h.ip_length);
}

void CheckL4(const ParsedHeaders& h, const uint8_t* frame, uint32_t contiguous) {
  const uint32_t end = uint32_t{h.l3_offset} + h.ip_length;
  switch (h.l4_status) {
    case L4Status::kPorts: {
      SLUICE_CHECK(h.protocol == kProtocolTcp || h.protocol == kProtocolUdp);
      const uint32_t size = h.protocol == kProtocolTcp ? sizeof(TcpHeader) : sizeof(UdpHeader);
      SLUICE_CHECK(h.l4_offset + size <= contiguous && h.l4_offset + size <= end);
      const auto* ports = reinterpret_cast<const UdpHeader*>(frame + h.l4_offset);
      SLUICE_CHECK(ports->source_port == h.source_port && ports->destination_port == h.destination_port);
      break;
    }
    case L4Status::kOther:
      SLUICE_CHECK(h.protocol != kProtocolTcp && h.protocol != kProtocolUdp);
      break;
    case L4Status::kFragment:
      break;
    case L4Status::kError:
      SLUICE_CHECK(IsParseError(h.error));
      break;
  }
}

void CheckFragment(const ParsedHeaders& h, const uint8_t* frame, uint32_t contiguous) {
  const auto fragment = ParseFragment(frame, contiguous, h);
  if (!fragment) return;
  SLUICE_CHECK(fragment->offset % 8 == 0 && fragment->payload_length > 0);
  SLUICE_CHECK(!fragment->more || fragment->payload_length % 8 == 0);
  SLUICE_CHECK(fragment->payload_offset + fragment->payload_length == uint32_t{h.l3_offset} + h.ip_length);
  const auto ports = ParseFragmentPorts(frame, contiguous, h, *fragment);
  if (!ports) return;
  SLUICE_CHECK(fragment->is_first() && ports->l4_offset >= fragment->payload_offset);
  const uint32_t size = ports->protocol == kProtocolTcp ? sizeof(TcpHeader) : sizeof(UdpHeader);
  SLUICE_CHECK(ports->l4_offset + size <= contiguous);
  SLUICE_CHECK(ports->l4_offset + size <= uint32_t{fragment->payload_offset} + fragment->payload_length);
}

// The fast half of the parser says what the whole one says, or nothing.
void CheckCommon(const ParsedHeaders& h, const uint8_t* frame, uint32_t contiguous, uint32_t frame_length) {
  ParsedHeaders common;
  if (!ParseCommonFrame(frame, contiguous, frame_length, common)) return;
  SLUICE_CHECK(h.status == ParseStatus::kOk && common.status == ParseStatus::kOk);
  SLUICE_CHECK(h.l4_status == L4Status::kPorts && common.l4_status == L4Status::kPorts);
  SLUICE_CHECK(h.family == common.family && h.protocol == common.protocol && h.tcp_flags == common.tcp_flags);
  SLUICE_CHECK(h.source_port == common.source_port && h.destination_port == common.destination_port);
  SLUICE_CHECK(h.ip_length == common.ip_length && h.vlan_tags == 0 && common.vlan_tags == 0);
  SLUICE_CHECK(h.l3_offset == common.l3_offset && h.l4_offset == common.l4_offset);
  SLUICE_CHECK(!h.has_extension && !common.has_extension);
}

// The pieces of any IPv4 packet make up its payload, each within the limit, headers counted or not, each with a right
// header.
void CheckFragmentPlan(const ParsedHeaders& h, const uint8_t* frame, uint32_t limit, bool by_payload) {
  const uint8_t* const ip = frame + h.l3_offset;
  const auto plan = by_payload ? Ipv4FragmentPlan::MakeByPayload(ip, limit) : Ipv4FragmentPlan::Make(ip, limit);
  if (!plan) return;
  SLUICE_CHECK(plan->count() >= 2);
  uint32_t covered = 0;
  for (uint32_t i = 0; i < plan->count(); ++i) {
    const auto piece = plan->piece(i);
    uint8_t header[60];
    SLUICE_CHECK(piece.header_length <= sizeof(header));
    SLUICE_CHECK(piece.payload_offset == covered && piece.payload_length > 0);
    SLUICE_CHECK((by_payload ? 0 : uint32_t{piece.header_length}) + piece.payload_length <= limit);
    SLUICE_CHECK(i + 1 == plan->count() || piece.payload_length % 8 == 0);
    plan->WriteHeader(i, header);
    SLUICE_CHECK((header[0] & 0x0f) * 4 == piece.header_length);
    SLUICE_CHECK(ChecksumIsValid(header, piece.header_length));
    covered += piece.payload_length;
  }
  SLUICE_CHECK(covered == h.ip_length - (frame[h.l3_offset] & 0x0fu) * 4);
}

// `frame` has exactly `contiguous` bytes.
void ParseAndCheck(const uint8_t* frame, uint32_t contiguous, uint32_t frame_length) {
  const ParsedHeaders h = ParseFrame(frame, contiguous, frame_length);
  SLUICE_CHECK(h.vlan_tags <= 2);
  switch (h.status) {
    case ParseStatus::kOk:
      CheckL3(h, contiguous, frame_length);
      CheckL4(h, frame, contiguous);
      if (h.l4_status == L4Status::kFragment) CheckFragment(h, frame, contiguous);
      CheckCommon(h, frame, contiguous, frame_length);
      if (h.family == Family::kIpv4) {
        CheckFragmentPlan(h, frame, 20 + frame[0] * 8u, false);
        CheckFragmentPlan(h, frame, frame[0] * 8u, true);
      }
      break;
    case ParseStatus::kNotIp:
      SLUICE_CHECK(h.l3_offset <= contiguous);
      SLUICE_CHECK(h.ether_type.Host() != kEtherTypeIpv4 && h.ether_type.Host() != kEtherTypeIpv6);
      break;
    case ParseStatus::kError:
      SLUICE_CHECK(IsParseError(h.error));
      // Only a frame in several buffers can have headers beyond the first.
      SLUICE_CHECK(h.error != DropReason::kHeaderNotContiguous || contiguous < frame_length);
      break;
  }
}

}  // namespace
}  // namespace sluice::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxFrame = 70000;
  if (size > kMaxFrame) return 0;
  const auto whole = static_cast<uint32_t>(size);
  sluice::net::ParseAndCheck(data, whole, whole);
  // A first buffer that ends anywhere, in front of bytes that the parser must not touch. The source MAC address, which
  // has no meaning to the parser, says where.
  if (size < sizeof(sluice::net::EtherHeader)) return 0;
  const uint32_t contiguous = (uint32_t{data[6]} << 8 | data[7]) % (whole + 1);
  const auto first = std::make_unique<uint8_t[]>(contiguous);
  std::copy(data, data + contiguous, first.get());
  sluice::net::ParseAndCheck(first.get(), contiguous, whole);
  return 0;
}
