#include "dataplane/stage/answer.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp_error.h"
#include "dataplane/stage/mbuf_sum.h"

namespace sluice::stage {
namespace {

using net::Load;
using net::Store;
using net::Word;

constexpr uint8_t kAnswerHopLimit = 64;

// Sends the frame back to the station it came from.
void ReturnToSender(Packet& packet, const StageEnv& env, fwd::AnswerKind kind) {
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  std::memcpy(frame + offsetof(net::EtherHeader, destination), frame + offsetof(net::EtherHeader, source), 6);
  std::memcpy(frame + offsetof(net::EtherHeader, source), env.node->ports[packet.in_port.index()].mac.data(), 6);
  packet.out_port = packet.in_port;
  packet.fate = Fate::kAnswered;
  env.counters->answers[static_cast<size_t>(kind)].Increment();
}

bool TakeBudget(Packet& packet, StageEnv& env) {
  if (env.answers.Take(env.now_s, env.node->answers_per_s)) return true;
  Drop(packet, DropReason::kAnswerRateLimited);
  return false;
}

void SwapAddresses(uint8_t* source, uint8_t* destination, size_t size) {
  std::swap_ranges(source, source + size, destination);
}

// Cuts the packet to at most `ip_bytes` of IP packet, in one buffer; returns how many are left.
uint32_t CutTo(const Packet& packet, uint32_t ip_bytes) {
  rte_mbuf* mbuf = packet.mbuf;
  if (mbuf->next != nullptr) {
    rte_pktmbuf_free(mbuf->next);
    mbuf->next = nullptr;
    mbuf->nb_segs = 1;
    mbuf->pkt_len = mbuf->data_len;
  }
  const uint32_t there = rte_pktmbuf_data_len(mbuf) - packet.headers.l3_offset;
  const uint32_t kept = std::min({there, uint32_t{packet.headers.ip_length}, ip_bytes});
  rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(there - kept));
  return kept;
}

// Moves the link-layer header forward and returns where `size` new bytes begin behind it; null without headroom.
uint8_t* InsertAfterLinkHeader(const Packet& packet, uint16_t size) {
  const auto* old_frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  auto* frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(packet.mbuf, size));
  if (frame == nullptr) return nullptr;
  std::memmove(frame, old_frame, packet.headers.l3_offset);
  return frame + packet.headers.l3_offset;
}

// The reply's checksum is the request's, adjusted: it must not make a corrupted packet look whole.
bool IcmpChecksumIsGood(const Packet& packet) {
  const net::ParsedHeaders& h = packet.headers;
  const auto size = static_cast<uint16_t>(h.l3_offset + h.ip_length - h.l4_offset);
  uint32_t sum = 0;
  if (h.family == net::Family::kIpv6) {
    const auto* ip = rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, h.l3_offset);
    sum = net::PseudoHeaderSum(h.family, ip + offsetof(net::Ipv6Header, source),
                               ip + offsetof(net::Ipv6Header, destination), net::kProtocolIcmpv6, size);
  }
  return net::FoldSum(PartialSumOf(packet.mbuf, h.l4_offset, size, sum)) == 0xffff;
}

// Our address on the port that the packet came by, or null.
const uint8_t* OwnAddress(const Packet& packet, const NodeTraits& node) {
  const PortTraits& port = node.ports[packet.in_port.index()];
  const net::IpAddress& own = packet.headers.family == net::Family::kIpv4 ? port.address_v4 : port.address_v6;
  return own.family() == packet.headers.family && !own.IsUnspecified() ? own.data() : nullptr;
}

// The packet becomes the quote of an error about it; `source` null: from the quoted packet's destination.
void AnswerError(Packet& packet, net::IcmpErrorKind error, const uint8_t* source, uint32_t detail, fwd::AnswerKind kind,
                 StageEnv& env) {
  if (!TakeBudget(packet, env)) return;
  const net::Family family = packet.headers.family;
  const uint32_t quoted = CutTo(packet, net::MaxIcmpQuote(family));
  uint8_t* at = InsertAfterLinkHeader(packet, net::IcmpErrorHeaderBytes(family));
  if (at == nullptr) {
    Drop(packet, DropReason::kNoHeadroom);
    return;
  }
  net::WriteIcmpError(family, error, source, detail, quoted, at);
  ReturnToSender(packet, env, kind);
}

// The packet becomes a reset in answer to it (RFC 9293, section 3.10.7.1), without its own options and data.
void AnswerReset(Packet& packet, StageEnv& env) {
  if (!TakeBudget(packet, env)) return;
  const net::ParsedHeaders& h = packet.headers;
  const net::Family family = h.family;
  auto* l3 = rte_pktmbuf_mtod_offset(packet.mbuf, uint8_t*, h.l3_offset);
  const auto cause = Load<net::TcpHeader>(rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, h.l4_offset));
  net::TcpHeader tcp{};
  tcp.source_port = cause.destination_port;
  tcp.destination_port = cause.source_port;
  tcp.data_offset = sizeof(tcp) / 4 << 4;
  tcp.flags = net::kTcpRst;
  if ((cause.flags & net::kTcpAck) != 0) {
    tcp.sequence = cause.acknowledgement;
  } else {
    // SYN and FIN take a number each.
    uint32_t length = static_cast<uint32_t>(h.l3_offset + h.ip_length - h.l4_offset) - (cause.data_offset >> 4) * 4u;
    if ((cause.flags & net::kTcpSyn) != 0) ++length;
    if ((cause.flags & net::kTcpFin) != 0) ++length;
    tcp.flags |= net::kTcpAck;
    tcp.acknowledgement = Be32::FromHost(cause.sequence.Host() + length);
  }
  // What came is no shorter: it had both headers.
  const uint32_t ip_bytes = net::IpHeaderSize(family);
  CutTo(packet, ip_bytes + static_cast<uint32_t>(sizeof(tcp)));
  const size_t source_at =
      family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, source) : offsetof(net::Ipv6Header, source);
  const size_t destination_at =
      family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, destination) : offsetof(net::Ipv6Header, destination);
  const net::IpHeaderFields ip = {
      .hop_limit = kAnswerHopLimit, .protocol = net::kProtocolTcp, .payload = sizeof(tcp), .id = {}};
  net::WriteIpHeader(family, ip, l3 + destination_at, l3 + source_at, l3);
  Store(l3 + ip_bytes, tcp);
  const uint32_t pseudo =
      net::PseudoHeaderSum(family, l3 + source_at, l3 + destination_at, net::kProtocolTcp, sizeof(tcp));
  tcp.checksum = static_cast<uint16_t>(~net::FoldSum(net::PartialSum(l3 + ip_bytes, sizeof(tcp), pseudo)));
  Store(l3 + ip_bytes, tcp);
  ReturnToSender(packet, env, fwd::AnswerKind::kReset);
}

}  // namespace

void AnswerEcho(Packet& packet, StageEnv& env) {
  if (!TakeBudget(packet, env)) return;
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  uint8_t* l3 = frame + packet.headers.l3_offset;
  uint8_t* l4 = frame + packet.headers.l4_offset;
  if (!IcmpChecksumIsGood(packet)) {
    Drop(packet, DropReason::kBadIcmpChecksum);
    return;
  }
  auto icmp = Load<net::IcmpHeader>(l4);
  const uint16_t before = Word(icmp.type, icmp.code);
  if (packet.headers.family == net::Family::kIpv4) {
    icmp.type = net::kIcmpEchoReply;
    SwapAddresses(l3 + offsetof(net::Ipv4Header, source), l3 + offsetof(net::Ipv4Header, destination), 4);
    auto ip = Load<net::Ipv4Header>(l3);
    ip.checksum = net::UpdateChecksum(ip.checksum, Word(ip.ttl, ip.protocol), Word(kAnswerHopLimit, ip.protocol));
    ip.ttl = kAnswerHopLimit;
    Store(l3, ip);
  } else {
    icmp.type = net::kIcmpv6EchoReply;
    SwapAddresses(l3 + offsetof(net::Ipv6Header, source), l3 + offsetof(net::Ipv6Header, destination), 16);
    l3[offsetof(net::Ipv6Header, hop_limit)] = kAnswerHopLimit;
  }
  icmp.checksum = net::UpdateChecksum(icmp.checksum, before, Word(icmp.type, icmp.code));
  Store(l4, icmp);
  ReturnToSender(packet, env, fwd::AnswerKind::kEchoReply);
}

void AnswerTooBig(Packet& packet, uint32_t mtu_bytes, StageEnv& env) {
  const bool v4 = packet.headers.family == net::Family::kIpv4;
  const auto* l3 = rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, packet.headers.l3_offset);
  const bool may_be_fragmented = v4 && (Load<net::Ipv4Header>(l3).fragment.Host() & net::kIpv4DontFragment) == 0;
  // Hosts do not believe in a smaller one (RFC 8201, section 4), so telling it would not help.
  const bool unbelievable = !v4 && mtu_bytes < net::kMinMtuV6;
  // No error about an error, nor about an IPv4 fragment other than the first (RFC 1122, section 3.2.2).
  const bool later_fragment = v4 && packet.part == FragmentPart::kLater;
  if (may_be_fragmented || unbelievable || packet.related || later_fragment) {
    Drop(packet, DropReason::kTooBig);
    return;
  }
  // To a client the VIP speaks, as its backend's path is no business of the client's.
  const bool from_vip = packet.direction == Direction::kToBackend;
  const uint8_t* source = from_vip ? nullptr : OwnAddress(packet, *env.node);
  AnswerError(packet, net::IcmpErrorKind::kTooBig, source, mtu_bytes, fwd::AnswerKind::kPacketTooBig, env);
}

void AnswerTimeExceeded(Packet& packet, StageEnv& env) {
  if (packet.related || packet.part == FragmentPart::kLater) {
    Drop(packet, DropReason::kTtlExpired);
    return;
  }
  AnswerError(packet, net::IcmpErrorKind::kTimeExceeded, OwnAddress(packet, *env.node), 0,
              fwd::AnswerKind::kTimeExceeded, env);
}

void AnswerOpenRoute(Packet& packet, uint32_t at, StageEnv& env) {
  if (packet.part == FragmentPart::kLater) {
    Drop(packet, DropReason::kNatUntranslatable);
    return;
  }
  AnswerError(packet, net::IcmpErrorKind::kSourceRoute, OwnAddress(packet, *env.node), at,
              fwd::AnswerKind::kUnreachable, env);
}

void AnswerRefusal(Packet& packet, fwd::Refusal refusal, DropReason reason, StageEnv& env) {
  const bool is_tcp = packet.headers.protocol == net::kProtocolTcp;
  if (refusal == fwd::Refusal::kDrop || packet.related || packet.part == FragmentPart::kLater ||
      (is_tcp && (packet.headers.tcp_flags & net::kTcpRst) != 0)) {
    Drop(packet, reason);
  } else if (refusal == fwd::Refusal::kReset && is_tcp && packet.part == FragmentPart::kWhole) {
    AnswerReset(packet, env);
  } else {
    AnswerError(packet, net::IcmpErrorKind::kPortUnreachable, nullptr, 0, fwd::AnswerKind::kUnreachable, env);
  }
}

}  // namespace sluice::stage
