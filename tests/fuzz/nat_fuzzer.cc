// Address translation on any packet, within a family and between the two: nothing beyond the packet is read or written
// (AddressSanitizer watches a buffer of exactly its size), right checksums stay right by a recomputation from scratch,
// and what is refused stays as it was.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/base/check.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/icmp_translate.h"
#include "dataplane/net/ip_fragment.h"
#include "dataplane/net/ip_translate.h"
#include "dataplane/net/nat_rewrite.h"
#include "dataplane/net/parser.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using test::Bytes;
using test::ExactCopy;
using test::operator+;

// An IP packet out of a frame, and where its L4 header is.
struct Packet {
  Bytes bytes;
  Family family;
  uint8_t protocol;
  uint32_t l4;

  PacketBytes View(const ExactCopy& copy) const {
    return {family, protocol, copy.data(), copy.data() + l4, copy.size() - l4};
  }
  Bytes Sealed(Bytes other) const { return test::Sealed(std::move(other), l4, protocol); }
};

// New ends, made of the frame's MAC addresses, which have no meaning here.
struct Ends {
  explicit Ends(const uint8_t* frame) {
    for (size_t i = 0; i < sizeof(bytes); ++i) bytes[i] = static_cast<uint8_t>(frame[i % 12] ^ (i / 12));
    change = {bytes, bytes + 16, Be16::FromHost(static_cast<uint16_t>(frame[0] << 8 | frame[6])),
              Be16::FromHost(static_cast<uint16_t>(frame[1] << 8 | frame[7]))};
    if (frame[2] % 4 == 1) change.source = nullptr;
    if (frame[2] % 4 == 2) change.destination = nullptr;
  }
  uint8_t bytes[32];
  NatChange change;
};

void CheckRewrite(const Packet& packet, const Ends& ends) {
  const Bytes sealed = packet.Sealed(packet.bytes);
  const ExactCopy copy(sealed);
  const PacketBytes view = packet.View(copy);
  SLUICE_CHECK(RewriteFlow(view, ends.change));
  SLUICE_CHECK(copy.bytes() == packet.Sealed(copy.bytes()));
  if (DecrementHopLimit(packet.family, copy.data())) SLUICE_CHECK(copy.bytes() == packet.Sealed(copy.bytes()));
  if (packet.protocol == kProtocolTcp) {
    ShiftSequence(view.l4, ends.bytes[3] * 0x01010101u);
    ShiftAcknowledgement(view.l4, ends.bytes[4] * 0x10101010u);
    SLUICE_CHECK(copy.bytes() == packet.Sealed(copy.bytes()));
    const uint32_t payload = copy.size() - packet.l4 - static_cast<uint32_t>(sizeof(TcpHeader));
    const uint32_t cut = ends.bytes[5] % (payload + 1);
    AccountForCutPayload(view, copy.data() + copy.size() - cut, static_cast<uint16_t>(cut));
    const Bytes left(copy.data(), copy.data() + copy.size() - cut);
    SLUICE_CHECK(left == packet.Sealed(left));
  }
  // And back: but for the hop and the numbers it is what it was.
  const ExactCopy there(sealed);
  const size_t addresses = packet.family == Family::kIpv4 ? 12 : 8;
  const size_t size = packet.family == Family::kIpv4 ? 4 : 16;
  NatChange back = {&sealed[addresses], &sealed[addresses + size], {}, {}};
  std::memcpy(&back.source_port, &sealed[packet.l4], 2);
  std::memcpy(&back.destination_port, &sealed[packet.l4 + 2], 2);
  RewriteFlow(packet.View(there), ends.change);
  RewriteFlow(packet.View(there), back);
  SLUICE_CHECK(there.bytes() == sealed);
}

TranslateResult Translate(const Packet& packet, const Ends& ends, const ExactCopy& copy, Bytes* header) {
  const NatChange change = {ends.bytes, ends.bytes + 16, ends.change.source_port, ends.change.destination_port};
  header->resize(TranslatedHeaderSize(packet.View(copy)));
  if (packet.family == Family::kIpv4) return TranslateToV6(packet.View(copy), change, header->data());
  return TranslateToV4(packet.View(copy), change, Be16::FromHost(7), header->data());
}

// A first fragment or a first buffer may end anywhere.
void CheckCut(const Packet& packet, const Ends& ends) {
  const uint32_t kept = packet.l4 + ends.bytes[5] % (static_cast<uint32_t>(packet.bytes.size()) - packet.l4 + 1);
  const Bytes cut(packet.bytes.begin(), packet.bytes.begin() + kept);
  const ExactCopy copy(cut);
  Bytes header;
  if (!RewriteFlow(packet.View(copy), ends.change)) SLUICE_CHECK(copy.bytes() == cut);
  const ExactCopy again(cut);
  if (Translate(packet, ends, again, &header) != TranslateResult::kDone) SLUICE_CHECK(again.bytes() == cut);
}

void CheckTranslation(const Packet& packet, const Ends& ends) {
  const Bytes sealed = packet.Sealed(packet.bytes);
  const ExactCopy copy(sealed);
  const bool to_v6 = packet.family == Family::kIpv4;
  Bytes header;
  const auto result = Translate(packet, ends, copy, &header);
  if (result != TranslateResult::kDone) {
    SLUICE_CHECK(copy.bytes() == sealed);
    return;
  }
  // A UDP length that leaves bytes over makes a computed checksum differ from one over all of them.
  const uint8_t* const l4 = &sealed[packet.l4];
  const size_t l4_size = sealed.size() - packet.l4;
  const bool bytes_over = packet.protocol == kProtocolUdp && static_cast<size_t>(l4[4] << 8 | l4[5]) != l4_size;
  if (bytes_over) return;
  const size_t l4_offset = header.size();
  const Bytes translated = header + Bytes(copy.data() + packet.l4, copy.data() + copy.size());
  SLUICE_CHECK(translated == test::Sealed(translated, l4_offset, packet.protocol));
  const auto length = static_cast<uint32_t>(translated.size());
  const ParsedHeaders h = [&] {
    const Bytes frame = test::Ether(to_v6 ? kEtherTypeIpv6 : kEtherTypeIpv4) + translated;
    return ParseFrame(frame.data(), length + 14, length + 14);
  }();
  SLUICE_CHECK(h.status == ParseStatus::kOk && h.l4_status == L4Status::kPorts && h.ip_length == length);
  SLUICE_CHECK(h.source_port == ends.change.source_port && h.destination_port == ends.change.destination_port);
}

// A fragment is the same part of its packet in the other family.
void CheckTranslatedFragment(const uint8_t* frame, uint32_t size, const ParsedHeaders& h, const Ends& ends) {
  const auto info = ParseFragment(frame, size, h);
  if (!info) return;
  const auto ports = ParseFragmentPorts(frame, size, h, *info);
  if (info->is_first() && !ports) return;
  const uint32_t l4_offset = ports ? ports->l4_offset : info->payload_offset;
  const Packet packet = {.bytes = Bytes(frame + h.l3_offset, frame + h.l3_offset + h.ip_length),
                         .family = h.family,
                         .protocol = ports ? ports->protocol : info->protocol,
                         .l4 = l4_offset - h.l3_offset};
  const ExactCopy copy(packet.bytes);
  Bytes header;
  if (Translate(packet, ends, copy, &header) != TranslateResult::kDone) {
    SLUICE_CHECK(copy.bytes() == packet.bytes);
    return;
  }
  const bool to_v6 = packet.family == Family::kIpv4;
  const Bytes out = test::Ether(to_v6 ? kEtherTypeIpv6 : kEtherTypeIpv4) + header +
                    Bytes(copy.data() + packet.l4, copy.data() + copy.size());
  const auto out_size = static_cast<uint32_t>(out.size());
  const ParsedHeaders after = ParseFrame(out.data(), out_size, out_size);
  SLUICE_CHECK(after.status == ParseStatus::kOk && after.l4_status == L4Status::kFragment);
  const auto translated = ParseFragment(out.data(), out_size, after);
  SLUICE_CHECK(translated && translated->offset == info->offset && translated->more == info->more);
  SLUICE_CHECK(translated->payload_length == info->payload_length && translated->protocol == packet.protocol);
  SLUICE_CHECK(translated->id == (info->id & 0xffff));
}

bool QuotedHeaderIsRight(const Packet& packet, const Bytes& bytes) {
  if (packet.family == Family::kIpv6) return true;
  const auto quote = bytes.begin() + packet.l4 + 8;
  return test::PlainChecksum(Bytes(quote, quote + (*quote & 0x0f) * 4)) == 0;
}

void CheckIcmpError(const Packet& packet, const Ends& ends) {
  const Bytes sealed = packet.Sealed(packet.bytes);
  const ExactCopy copy(sealed);
  const auto before = ParseQuote(packet.family, copy.data(), packet.l4 + 8, copy.size());
  const bool done = RewriteIcmpError(packet.View(copy), ends.change.source, ends.bytes + 8, ends.change);
  SLUICE_CHECK(done == before.has_value());
  if (!done) {
    SLUICE_CHECK(copy.bytes() == sealed);
    return;
  }
  SLUICE_CHECK(copy.bytes() == packet.Sealed(copy.bytes()));
  SLUICE_CHECK(QuotedHeaderIsRight(packet, sealed) == QuotedHeaderIsRight(packet, copy.bytes()));
  const auto after = ParseQuote(packet.family, copy.data(), packet.l4 + 8, copy.size());
  SLUICE_CHECK(after && after->protocol == before->protocol);
  SLUICE_CHECK(after->source_port == (ends.change.source ? ends.change.source_port : before->source_port));
  SLUICE_CHECK(after->destination_port ==
               (ends.change.destination ? ends.change.destination_port : before->destination_port));
}

// An error as one of the other family: made of right checksums, and its quote is the same flow.
void CheckTranslatedError(const Packet& packet, const Ends& ends) {
  const ExactCopy copy(packet.bytes);
  const NatChange quoted = {ends.bytes + 8, ends.bytes, ends.change.source_port, ends.change.destination_port};
  const ExactCopy out((Bytes(kMaxTranslatedError)));
  const uint32_t size =
      TranslateIcmpError(packet.View(copy), ends.bytes, ends.bytes + 16, quoted, {.v4 = 1500, .v6 = 1500}, out.data());
  SLUICE_CHECK(copy.bytes() == packet.bytes && size <= kMaxTranslatedError);
  if (size == 0) return;
  const bool to_v6 = packet.family == Family::kIpv4;
  const uint32_t l4 = to_v6 ? 40 : 20;
  const Bytes error(out.data(), out.data() + size);
  SLUICE_CHECK(std::all_of(out.data() + size, out.data() + out.size(), [](uint8_t byte) { return byte == 0; }));
  SLUICE_CHECK(error == test::Sealed(error, l4, to_v6 ? kProtocolIcmpv6 : kProtocolIcmp));
  const auto before = ParseQuote(packet.family, copy.data(), packet.l4 + 8, copy.size());
  const auto after = ParseQuote(to_v6 ? Family::kIpv6 : Family::kIpv4, out.data(), l4 + 8, size);
  SLUICE_CHECK(after && after->protocol == before->protocol);
  SLUICE_CHECK(after->source_port == quoted.source_port && after->destination_port == quoted.destination_port);
}

}  // namespace
}  // namespace sluice::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::net;
  constexpr size_t kMaxFrame = 4096;
  if (size > kMaxFrame || size < sizeof(EtherHeader)) return 0;
  const auto whole = static_cast<uint32_t>(size);
  const ParsedHeaders h = ParseFrame(data, whole, whole);
  if (h.status != ParseStatus::kOk) return 0;
  const Packet packet = {.bytes = Bytes(data + h.l3_offset, data + h.l3_offset + h.ip_length),
                         .family = h.family,
                         .protocol = h.protocol,
                         .l4 = static_cast<uint32_t>(h.l4_offset - h.l3_offset)};
  const Ends ends(data);
  if (h.l4_status == L4Status::kFragment) CheckTranslatedFragment(data, whole, h, ends);
  if (h.l4_status == L4Status::kPorts) {
    CheckRewrite(packet, ends);
    CheckCut(packet, ends);
    CheckTranslation(packet, ends);
  } else if (h.l4_status == L4Status::kOther) {
    const uint8_t icmp = h.family == Family::kIpv4 ? kProtocolIcmp : kProtocolIcmpv6;
    if (h.protocol == icmp && IsIcmpError(data, whole, h)) {
      CheckIcmpError(packet, ends);
      CheckTranslatedError(packet, ends);
    }
  }
  return 0;
}
