#include "dataplane/stage/nat_carry.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/icmp_translate.h"
#include "dataplane/net/ip_translate.h"
#include "dataplane/net/nat_rewrite.h"
#include "dataplane/net/tcp_options.h"
#include "dataplane/stage/answer.h"
#include "dataplane/stage/mbuf_sum.h"
#include "dataplane/stage/nat_packet.h"
#include "dataplane/stage/nat_tcp.h"
#include "dataplane/stage/pieces.h"

namespace sluice::stage {
namespace {

constexpr uint16_t IpHeaderBytes(net::Family family) {
  return family == net::Family::kIpv4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
}

uint8_t HopLimitOf(const uint8_t* ip, net::Family family) {
  return ip[family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, ttl) : offsetof(net::Ipv6Header, hop_limit)];
}

// How many bytes longer (or shorter) the IP packet leaves than it came.
int32_t Growth(const Packet& packet, const Leg& leg, const SegmentPlan& plan) {
  const net::ParsedHeaders& h = packet.headers;
  if (packet.related) return 0;  // an error is made to fit
  const int32_t changed_bytes = plan.insert_bytes - static_cast<int32_t>(plan.cut_bytes);
  if (leg.family == h.family) return changed_bytes;
  const auto old_size = static_cast<int32_t>(h.l4_offset - h.l3_offset);
  const auto new_size = static_cast<int32_t>(net::TranslatedHeaderSize(BytesOf(packet, h.protocol)));
  return new_size - old_size + changed_bytes;
}

// Whether the packet is to leave in several fragments, and how large these may be as they leave. An IPv4 packet whose
// sender lets it be fragmented is not to be told of a smaller MTU, so it must fit what is known of the whole way: in
// IPv6, where routers do not fragment, that is 1280 bytes towards clients, and towards the backends, whose network is
// ours, the port's MTU (RFC 7915, section 4.1).
struct Cut {
  bool needed = false;
  uint32_t limit_bytes = 0;
};
Cut CutFor(const Packet& packet, const Leg& leg, int32_t growth, uint32_t mtu_bytes) {
  const net::ParsedHeaders& h = packet.headers;
  const bool to_v6 = leg.family == net::Family::kIpv6 && h.family == net::Family::kIpv4;
  const uint32_t limit = to_v6 && !leg.to_backend ? std::min(mtu_bytes, net::kMinMtuV6) : mtu_bytes;
  if (h.ip_length + growth <= static_cast<int32_t>(limit) || packet.related) return {};
  // IPv6 senders need not make packets of 1280 bytes any smaller, so these become IPv4 packets without DF.
  const bool from_v6 = leg.family == net::Family::kIpv4 && h.family == net::Family::kIpv6;
  const bool may_be_cut = from_v6 ? h.ip_length <= net::kMinMtuV6 : MayBeFragmented(packet);
  return {.needed = may_be_cut, .limit_bytes = limit};
}

// The size of packets that would fit, to be told to the sender. Between the families no less than every IPv6 host
// makes.
uint32_t FittingSize(const Packet& packet, const Leg& leg, int32_t growth, uint32_t mtu_bytes) {
  const auto size = static_cast<uint32_t>(static_cast<int32_t>(mtu_bytes) - growth);
  const bool from_v6 = leg.family == net::Family::kIpv4 && packet.headers.family == net::Family::kIpv6;
  return from_v6 ? std::max(size, net::kMinMtuV6) : size;
}

// The largest data of a segment, beside the IP and TCP header without options, that a link takes.
int32_t SegmentBytes(uint32_t mtu_bytes, net::Family family) {
  return static_cast<int32_t>(mtu_bytes) - IpHeaderBytes(family) - static_cast<int32_t>(sizeof(net::TcpHeader));
}

// What either side may send has to fit the links of both, in their families. The backend's limit for the client leaves
// room for the PROXY protocol header before the client's first data.
void ClampMss(const Packet& packet, const Leg& leg, const net::PacketBytes& bytes, const StageEnv& env) {
  int32_t mss = std::min(SegmentBytes(env.node->ports[packet.in_port.index()].mtu_bytes, packet.headers.family),
                         SegmentBytes(env.node->ports[leg.port.index()].mtu_bytes, leg.family));
  if (!leg.to_backend && leg.session != nullptr) mss -= leg.session->tracking.proxy_bytes;
  net::ClampMss(bytes.l4, bytes.l4_bytes, static_cast<uint16_t>(std::max(mss, 1)));
}

// The client gets the backend's timestamp with the cookie, and the backend its own back. What a SYN echoes has no
// meaning.
void ChangeStamps(const Leg& leg, const net::PacketBytes& bytes) {
  if (leg.stamps == nullptr && !leg.hides_echo) return;
  const auto found = net::FindTimestamps(bytes.l4, bytes.l4_bytes);
  if (!found) return;
  if (!leg.to_backend) {
    net::ReplaceTcpField(bytes.l4, found->value_offset, Be32::FromHost(leg.stamps->Send(found->value.Host())));
    return;
  }
  if ((net::Load<net::TcpHeader>(bytes.l4).flags & net::kTcpAck) == 0) return;
  const uint32_t echo = leg.hides_echo ? 0 : leg.stamps->Restore(found->echo.Host());
  net::ReplaceTcpField(bytes.l4, found->echo_offset, Be32::FromHost(echo));
}

// TCP beyond the ports. False: the packet was dropped.
bool ChangeTcp(Packet& packet, const Leg& leg, const SegmentPlan& plan, const StageEnv& env) {
  const bool has_header = packet.part != FragmentPart::kLater;
  if (packet.headers.protocol != net::kProtocolTcp || !has_header) return true;
  if (leg.clamp_mss && (packet.headers.tcp_flags & net::kTcpSyn) != 0) {
    ClampMss(packet, leg, BytesOf(packet, net::kProtocolTcp), env);
  }
  ChangeStamps(leg, BytesOf(packet, net::kProtocolTcp));
  if (leg.session == nullptr || leg.session->tracking.proxy_bytes == 0) return true;
  if (leg.to_backend) return ChangeSegmentToBackend(packet, plan, *leg.session);
  ChangeSegmentToClient(BytesOf(packet, net::kProtocolTcp), *leg.session);
  return true;
}

// The same family: addresses and ports in place.
bool Translate(Packet& packet, const Leg& leg) {
  const net::PacketBytes bytes = BytesOf(packet, packet.headers.protocol);
  if (packet.part == FragmentPart::kLater) {
    net::RewriteAddresses(bytes.family, bytes.ip, leg.ends.source, leg.ends.destination);
  } else if (!net::RewriteFlow(bytes, leg.ends)) {
    Drop(packet, DropReason::kNatUnreadable);
    return false;
  }
  net::DecrementHopLimit(bytes.family, bytes.ip);
  return true;
}

// The EtherType is the last of the link-layer header, in front of `ip`.
void SetEtherType(uint8_t* ip, net::Family family) {
  net::Store(ip - sizeof(Be16),
             Be16::FromHost(family == net::Family::kIpv4 ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6));
}

// False: the packet was dropped.
bool IsTranslated(Packet& packet, net::TranslateResult result) {
  if (result == net::TranslateResult::kDone) return true;
  Drop(packet,
       result == net::TranslateResult::kNotContiguous ? DropReason::kNatUnreadable : DropReason::kNatUntranslatable);
  return false;
}

// The id of packets that may be fragmented further on is to differ from packet to packet, as checksums do.
Be16 IdFrom(const net::PacketBytes& bytes) {
  const uint32_t end = net::L4ChecksumEnd(bytes.protocol);
  if (end == 0 || bytes.l4_bytes < end) return Be16();  // of a fragment, which has its own
  const size_t checksum =
      bytes.protocol == net::kProtocolTcp ? offsetof(net::TcpHeader, checksum) : offsetof(net::UdpHeader, checksum);
  return Be16::FromRaw(net::Load<uint16_t>(bytes.l4 + checksum));
}

// Another family: another IP header, so the link-layer header moves.
bool TranslateFamily(Packet& packet, const Leg& leg) {
  const net::ParsedHeaders& h = packet.headers;
  const net::PacketBytes bytes = BytesOf(packet, h.protocol);
  const auto old_bytes = static_cast<uint16_t>(h.l4_offset - h.l3_offset);
  const auto new_bytes = static_cast<uint16_t>(net::TranslatedHeaderSize(bytes));
  if (new_bytes > old_bytes && rte_pktmbuf_headroom(packet.mbuf) < new_bytes - old_bytes) {
    Drop(packet, DropReason::kNoHeadroom);
    return false;
  }
  std::array<uint8_t, net::kMaxTranslatedHeader> header;
  const Be16 id = IdFrom(bytes);
  const net::TranslateResult result = leg.family == net::Family::kIpv6
                                          ? net::TranslateToV6(bytes, leg.ends, header.data())
                                          : net::TranslateToV4(bytes, leg.ends, id, header.data());
  if (!IsTranslated(packet, result)) return false;
  auto* old_frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  uint8_t* frame = old_frame + old_bytes - new_bytes;
  std::memmove(frame, old_frame, h.l3_offset);
  if (new_bytes > old_bytes) {
    rte_pktmbuf_prepend(packet.mbuf, static_cast<uint16_t>(new_bytes - old_bytes));
  } else {
    rte_pktmbuf_adj(packet.mbuf, static_cast<uint16_t>(old_bytes - new_bytes));
  }
  std::memcpy(frame + h.l3_offset, header.data(), new_bytes);
  SetEtherType(frame + h.l3_offset, leg.family);
  return true;
}

// Replaces the packet behind the link-layer header. False: the packet was dropped.
bool ReplacePacket(Packet& packet, const uint8_t* bytes, uint32_t size) {
  rte_mbuf* mbuf = packet.mbuf;
  if (mbuf->next != nullptr) {
    rte_pktmbuf_free(mbuf->next);
    mbuf->next = nullptr;
    mbuf->nb_segs = 1;
  }
  const uint32_t frame_bytes = packet.headers.l3_offset + size;
  if (frame_bytes + mbuf->data_off > mbuf->buf_len) {
    mbuf->pkt_len = mbuf->data_len;
    Drop(packet, DropReason::kNoHeadroom);
    return false;
  }
  mbuf->data_len = static_cast<uint16_t>(frame_bytes);
  mbuf->pkt_len = frame_bytes;
  std::memcpy(rte_pktmbuf_mtod_offset(mbuf, uint8_t*, packet.headers.l3_offset), bytes, size);
  return true;
}

// An error in terms of the other family: written anew, with its quote.
bool TranslateErrorFamily(Packet& packet, const Leg& leg, const net::PacketBytes& bytes, const StageEnv& env) {
  const uint32_t here = env.node->ports[packet.in_port.index()].mtu_bytes;
  const uint32_t there = env.node->ports[leg.port.index()].mtu_bytes;
  const bool to_v6 = leg.family == net::Family::kIpv6;
  const net::LinkMtus mtus = {.v4 = to_v6 ? here : there, .v6 = to_v6 ? there : here};
  std::array<uint8_t, net::kMaxTranslatedError> out;
  // A router of the one family has no name in the other: the error comes from where the flow's packets come from.
  const uint32_t size =
      net::TranslateIcmpError(bytes, leg.ends.source, leg.ends.destination, leg.quoted, mtus, out.data());
  if (size == 0) {
    Drop(packet, DropReason::kNatUntranslatable);
    return false;
  }
  if (!ReplacePacket(packet, out.data(), size)) return false;
  SetEtherType(rte_pktmbuf_mtod_offset(packet.mbuf, uint8_t*, packet.headers.l3_offset), leg.family);
  return true;
}

// What is quoted to the client of a stream with a PROXY protocol header has the number that the backend was sent, which
// the client would not know.
void UnshiftQuote(const Leg& leg, const net::PacketBytes& error) {
  if (leg.to_backend || leg.session == nullptr || leg.session->tracking.proxy_bytes == 0) return;
  const auto quoted = net::ParseQuote(error.family, error.l4, sizeof(net::IcmpHeader), error.l4_bytes);
  if (!quoted) return;
  uint8_t* tcp = error.l4 + quoted->l4_offset;
  uint8_t* field = tcp + offsetof(net::TcpHeader, sequence);
  const uint32_t sequence = net::Load<Be32>(field).Host();
  // The segment with the header itself begins at the client's first byte.
  if (sequence == leg.session->tracking.client_isn + 1 && !leg.session->tracking.proxy_accepted) return;
  const uint32_t shift = 0u - leg.session->tracking.proxy_bytes;
  if (quoted->l4_offset + sizeof(net::TcpHeader) <= error.l4_bytes) {
    net::ShiftSequence(tcp, shift);  // brings the quoted checksum along, so that all sums up to the same
    return;
  }
  net::ChecksumDelta delta;
  const Be32 shifted = Be32::FromHost(sequence + shift);
  delta.Replace(Be32::FromHost(sequence).raw(), shifted.raw());
  delta.ApplyTo(error.l4 + offsetof(net::IcmpHeader, checksum));
  net::Store(field, shifted);
}

// An ICMP error about the flow. False: the packet was dropped.
bool TranslateError(Packet& packet, const Leg& leg, const StageEnv& env) {
  const bool v4 = packet.headers.family == net::Family::kIpv4;
  const net::PacketBytes bytes = BytesOf(packet, v4 ? net::kProtocolIcmp : net::kProtocolIcmpv6);
  UnshiftQuote(leg, bytes);
  if (leg.family != packet.headers.family) return TranslateErrorFamily(packet, leg, bytes, env);
  if (!net::RewriteIcmpError(bytes, leg.error_source, leg.error_destination, leg.quoted)) {
    Drop(packet, DropReason::kNatUnreadable);
    return false;
  }
  net::DecrementHopLimit(bytes.family, bytes.ip);
  return true;
}

SegmentPlan PlanFor(const Packet& packet, const Leg& leg) {
  const bool has_segment =
      packet.headers.protocol == net::kProtocolTcp && !packet.related && packet.part != FragmentPart::kLater;
  if (!has_segment || !leg.to_backend || leg.session == nullptr || leg.session->tracking.proxy_bytes == 0) return {};
  return PlanSegment(packet, *leg.session);
}

// IPv6 demands the UDP checksum that IPv4 lets senders leave out. Of the fragments that came so the translation tells
// that it cannot. False: the packet was dropped.
bool CompleteUdpChecksum(Packet& packet, const Leg& leg) {
  const net::ParsedHeaders& h = packet.headers;
  const bool to_v6 = leg.family == net::Family::kIpv6 && h.family == net::Family::kIpv4;
  if (!to_v6 || packet.part != FragmentPart::kWhole) return true;
  const net::PacketBytes bytes = BytesOf(packet, h.protocol);
  const net::TranslateResult result = net::CompleteUdpChecksum(bytes);
  if (result != net::TranslateResult::kNotContiguous) return IsTranslated(packet, result);
  const uint32_t length = net::Load<net::UdpHeader>(bytes.l4).length.Host();
  net::StoreUdpChecksum(bytes, PartialSumOf(packet.mbuf, h.l4_offset, length, net::UdpPseudoHeaderSum(bytes)));
  return true;
}

// Everything that becomes of the packet's bytes. False: the packet was dropped.
bool Change(Packet& packet, const Leg& leg, const SegmentPlan& plan, const StageEnv& env) {
  if (packet.related) return TranslateError(packet, leg, env);
  if (!ChangeTcp(packet, leg, plan, env)) return false;
  if (leg.family == packet.headers.family) return Translate(packet, leg);
  return CompleteUdpChecksum(packet, leg) && TranslateFamily(packet, leg);
}

void Send(Packet& packet, const Leg& leg) {
  std::memcpy(rte_pktmbuf_mtod(packet.mbuf, uint8_t*), &leg.ether, offsetof(net::EtherHeader, ether_type));
  packet.out_port = leg.port;
  packet.fate = Fate::kForwarded;
}

// For a packet that leaves as IPv4 everything is done to the whole, which is cut then. IPv6 has another header in each
// fragment: what concerns the whole is done, and the pieces are translated one by one.
void CarryInPieces(Packet& packet, const Leg& leg, const SegmentPlan& plan, uint32_t limit_bytes, StageEnv& env) {
  const bool to_v6 = leg.family == net::Family::kIpv6 && packet.headers.family == net::Family::kIpv4;
  if (!to_v6) {
    if (!Change(packet, leg, plan, env)) return;
    SendInPieces(packet, PlanByMtu(packet, limit_bytes), env, [&leg](Packet& piece) { Send(piece, leg); });
    return;
  }
  if (!ChangeTcp(packet, leg, plan, env) || !CompleteUdpChecksum(packet, leg)) return;
  SendInPieces(packet, PlanByPayload(packet, limit_bytes - net::kMaxTranslatedHeader), env, [&leg](Packet& piece) {
    if (TranslateFamily(piece, leg)) Send(piece, leg);
  });
}

}  // namespace

void Carry(Packet& packet, const Leg& leg, StageEnv& env) {
  const net::ParsedHeaders& h = packet.headers;
  // Everything that may refuse the packet comes before the first change, because an answer quotes it as it came.
  if (HopLimitOf(rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, h.l3_offset), h.family) <= 1) {
    AnswerTimeExceeded(packet, env);
    return;
  }
  if (leg.family != h.family && !packet.related && h.l4_offset - h.l3_offset != IpHeaderBytes(h.family)) {
    if (const auto route = net::FindOpenRoute(BytesOf(packet, h.protocol))) {
      AnswerOpenRoute(packet, *route, env);
      return;
    }
  }
  const SegmentPlan plan = PlanFor(packet, leg);
  if (plan.insert_bytes != 0 && packet.part != FragmentPart::kWhole) {
    Drop(packet, DropReason::kNatUntranslatable);  // the header would overlay the next fragment
    return;
  }
  const uint32_t mtu_bytes = env.node->ports[leg.port.index()].mtu_bytes;
  const int32_t growth = Growth(packet, leg, plan);
  const Cut cut = CutFor(packet, leg, growth, mtu_bytes);
  if (h.ip_length + growth > static_cast<int32_t>(mtu_bytes) && !cut.needed) {
    AnswerTooBig(packet, FittingSize(packet, leg, growth, mtu_bytes), env);
    return;
  }
  if (cut.needed) {
    CarryInPieces(packet, leg, plan, cut.limit_bytes, env);
  } else if (Change(packet, leg, plan, env)) {
    Send(packet, leg);
  }
  if (plan.insert_bytes != 0 && packet.fate == Fate::kForwarded) env.counters->nat.proxy_headers.Increment();
}

}  // namespace sluice::stage
