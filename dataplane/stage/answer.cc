#include "dataplane/stage/answer.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"

namespace sluice::stage {
namespace {

constexpr uint8_t kAnswerHopLimit = 64;
// Precedence of ICMP errors (RFC 1812, section 4.3.2.5).
constexpr uint8_t kInternetworkControl = 0xc0;
// The whole error packet: RFC 1812 (section 4.3.2.3) for IPv4, RFC 4443 (section 2.4 c) for IPv6.
constexpr uint32_t kMaxErrorV4 = 576;
constexpr uint32_t kMaxErrorV6 = 1280;
constexpr uint32_t kMinMtuV6 = 1280;  // RFC 8200, section 5

template <typename T>
T Load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

template <typename T>
void Store(uint8_t* at, const T& value) {
  std::memcpy(at, &value, sizeof(value));
}

uint16_t Word(uint8_t first, uint8_t second) { return static_cast<uint16_t>(first | second << 8); }

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

// From the VIP to the client, the other way round than the quoted packet at `quote`.
void WriteErrorV4(uint8_t* at, const uint8_t* quote, uint32_t quoted, uint32_t mtu_bytes) {
  const auto cause = Load<net::Ipv4Header>(quote);
  net::Ipv4Header ip{};
  ip.version_ihl = 0x45;
  ip.tos = kInternetworkControl;
  ip.total_length = Be16::FromHost(static_cast<uint16_t>(sizeof(ip) + sizeof(net::IcmpHeader) + quoted));
  // With DF set the id has no meaning and may stay zero (RFC 6864, section 4).
  ip.fragment = Be16::FromHost(net::kIpv4DontFragment);
  ip.ttl = kAnswerHopLimit;
  ip.protocol = net::kProtocolIcmp;
  ip.source = cause.destination;
  ip.destination = cause.source;
  ip.checksum = net::InternetChecksum(reinterpret_cast<const uint8_t*>(&ip), sizeof(ip));
  Store(at, ip);
  net::IcmpHeader icmp{};
  icmp.type = net::kIcmpUnreachable;
  icmp.code = net::kIcmpCodeFragmentationNeeded;
  icmp.rest = Be32::FromHost(mtu_bytes);
  Store(at + sizeof(ip), icmp);
  icmp.checksum = net::InternetChecksum(at + sizeof(ip), sizeof(icmp) + quoted);
  Store(at + sizeof(ip), icmp);
}

void WriteErrorV6(uint8_t* at, const uint8_t* quote, uint32_t quoted, uint32_t mtu_bytes) {
  const auto cause = Load<net::Ipv6Header>(quote);
  const auto length = static_cast<uint16_t>(sizeof(net::IcmpHeader) + quoted);
  net::Ipv6Header ip{};
  ip.version_class_flow = Be32::FromHost(0x6000'0000);
  ip.payload_length = Be16::FromHost(length);
  ip.next_header = net::kProtocolIcmpv6;
  ip.hop_limit = kAnswerHopLimit;
  std::memcpy(ip.source, cause.destination, sizeof(ip.source));
  std::memcpy(ip.destination, cause.source, sizeof(ip.destination));
  Store(at, ip);
  net::IcmpHeader icmp{};
  icmp.type = net::kIcmpv6PacketTooBig;
  icmp.rest = Be32::FromHost(mtu_bytes);
  Store(at + sizeof(ip), icmp);
  // RFC 8200, section 8.1: addresses, length and next header are part of the sum.
  uint32_t sum = net::PartialSum(ip.source, sizeof(ip.source) + sizeof(ip.destination));
  sum += Be16::FromHost(length).raw();
  sum += Be16::FromHost(net::kProtocolIcmpv6).raw();
  sum = net::PartialSum(at + sizeof(ip), length, sum);
  icmp.checksum = static_cast<uint16_t>(~net::FoldSum(sum));
  Store(at + sizeof(ip), icmp);
}

}  // namespace

void AnswerEcho(Packet& packet, StageEnv& env) {
  if (!TakeBudget(packet, env)) return;
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  uint8_t* l3 = frame + packet.headers.l3_offset;
  uint8_t* l4 = frame + packet.headers.l4_offset;
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
  const bool unbelievable = !v4 && mtu_bytes < kMinMtuV6;
  // No error about an error (RFC 1122, section 3.2.2).
  if (may_be_fragmented || unbelievable || packet.related) {
    Drop(packet, DropReason::kTooBig);
    return;
  }
  if (!TakeBudget(packet, env)) return;
  const auto headers =
      static_cast<uint16_t>((v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header)) + sizeof(net::IcmpHeader));
  const uint32_t quoted = CutTo(packet, (v4 ? kMaxErrorV4 : kMaxErrorV6) - headers);
  uint8_t* at = InsertAfterLinkHeader(packet, headers);
  if (at == nullptr) {
    Drop(packet, DropReason::kNoHeadroom);
    return;
  }
  if (v4) {
    WriteErrorV4(at, at + headers, quoted, mtu_bytes);
  } else {
    WriteErrorV6(at, at + headers, quoted, mtu_bytes);
  }
  ReturnToSender(packet, env, fwd::AnswerKind::kPacketTooBig);
}

}  // namespace sluice::stage
