#include <rte_mbuf.h>

#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {
namespace {

bool Ipv4ChecksumIsGood(const rte_mbuf* mbuf, const net::ParsedHeaders& headers) {
  const uint64_t verdict = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
  if (verdict == RTE_MBUF_F_RX_IP_CKSUM_GOOD) return true;
  if (verdict == RTE_MBUF_F_RX_IP_CKSUM_BAD) return false;
  const auto* ip = rte_pktmbuf_mtod_offset(mbuf, const uint8_t*, headers.l3_offset);
  return net::ChecksumIsValid(ip, (ip[0] & 0x0fu) * 4u);
}

// For what makes up nearly all traffic: a good packet of the common kind, addressed to this port. False: it is
// something else, about which nothing has been decided.
bool ParseCommonPacket(Packet& packet, const NodeTraits& node) {
  const rte_mbuf* mbuf = packet.mbuf;
  const auto* frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  if (!net::ParseCommonFrame(frame, rte_pktmbuf_data_len(mbuf), rte_pktmbuf_pkt_len(mbuf), packet.headers))
    return false;
  // Our own address is no group's, so this tells group frames too.
  if (std::memcmp(frame, node.ports[packet.in_port.index()].mac.data(), 6) != 0) return false;
  if (packet.headers.family == net::Family::kIpv6) return true;
  const uint64_t verdict = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
  if (verdict == RTE_MBUF_F_RX_IP_CKSUM_GOOD) return true;
  return verdict != RTE_MBUF_F_RX_IP_CKSUM_BAD && net::CommonIpv4ChecksumIsValid(frame + packet.headers.l3_offset);
}

void ParsePacket(Packet& packet, const NodeTraits& node) {
  const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  packet.headers = net::ParseFrame(frame, rte_pktmbuf_data_len(packet.mbuf), rte_pktmbuf_pkt_len(packet.mbuf));
  const net::ParsedHeaders& headers = packet.headers;
  if (headers.status == net::ParseStatus::kError && headers.l3_offset == 0) {
    Drop(packet, headers.error);
    return;
  }
  // An interface may hand over frames that a bridge floods to all; forwarding those would double packets.
  const bool group = (frame[0] & 1) != 0;
  if (!group && std::memcmp(frame, node.ports[packet.in_port.index()].mac.data(), 6) != 0) {
    Drop(packet, DropReason::kOtherDestinationMac);
    return;
  }
  if (headers.status == net::ParseStatus::kError) {
    Drop(packet, headers.error);
    return;
  }
  if (headers.status == net::ParseStatus::kOk && headers.family == net::Family::kIpv4 &&
      !Ipv4ChecksumIsGood(packet.mbuf, headers)) {
    Drop(packet, DropReason::kBadIpChecksum);
    return;
  }
  // VIPs are unicast, and IP inside a link-layer broadcast is not forwarded (RFC 1122, section 3.3.6).
  if (headers.status == net::ParseStatus::kNotIp || group) packet.fate = Fate::kPunted;
}

}  // namespace

void Parse(Burst& burst, StageEnv& env) {
  for (Packet& packet : burst) {
    if (packet.fate != Fate::kPending || packet.past != Past::kNothing) continue;
    if (!ParseCommonPacket(packet, *env.node)) [[unlikely]] {
      ParsePacket(packet, *env.node);
    }
  }
}

}  // namespace sluice::stage
