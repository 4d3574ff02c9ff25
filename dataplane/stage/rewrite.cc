#include <rte_mbuf.h>

#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {
namespace {

// Checks that hold in every mode; false when the packet was dropped.
bool CanSend(Packet& packet, const fwd::BackendEntry& backend, const StageEnv& env, uint32_t overhead_bytes) {
  if (backend.family != packet.headers.family) {
    Drop(packet, DropReason::kFamilyMismatch);
    return false;
  }
  if (!backend.resolved) {
    Drop(packet, DropReason::kNextHopUnresolved);
    return false;
  }
  if (packet.headers.ip_length + overhead_bytes > env.node->ports[backend.port.index()].mtu_bytes) {
    Drop(packet, DropReason::kTooBig);
    return false;
  }
  return true;
}

void Send(Packet& packet, const fwd::BackendEntry& backend) {
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  std::memcpy(frame, &backend.ether, offsetof(net::EtherHeader, ether_type));
  packet.out_port = backend.port;
  packet.fate = Fate::kForwarded;
}

// L2: only the MAC addresses change; VLAN tags and IP header, TTL included, stay as they came, as if the client's
// packet had been switched to the backend.
void RewriteL2(Packet& packet, const fwd::BackendEntry& backend, const StageEnv& env) {
  if (!CanSend(packet, backend, env, 0)) return;
  if (!backend.on_link) {
    Drop(packet, DropReason::kBackendNotOnLink);
    return;
  }
  Send(packet, backend);
}

// Ethernet padding would follow the inner packet into the tunnel. In a chain of buffers it is left: the IP lengths tell
// it from the packet.
void TrimPadding(const Packet& packet) {
  rte_mbuf* mbuf = packet.mbuf;
  const uint32_t packet_end = uint32_t{packet.headers.l3_offset} + packet.headers.ip_length;
  const uint32_t padding = rte_pktmbuf_pkt_len(mbuf) - packet_end;
  if (padding > 0 && mbuf->nb_segs == 1) rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(padding));
}

// RFC 2003, with the traffic class copied as RFC 6040's normal mode wants it. Completes the backend's header template.
void WriteOuterV4(uint8_t* outer, const uint8_t* inner, uint16_t inner_length, Packet& packet,
                  const fwd::BackendEntry& backend, bool checksum_offload) {
  net::Ipv4Header ip;
  std::memcpy(&ip, backend.outer.data(), sizeof(ip));
  ip.tos = inner[offsetof(net::Ipv4Header, tos)];
  ip.total_length = Be16::FromHost(static_cast<uint16_t>(inner_length + sizeof(ip)));
  if (checksum_offload) {
    ip.checksum = 0;
    packet.mbuf->l2_len = packet.headers.l3_offset & 0x7f;  // 7 bits wide; at most 22
    packet.mbuf->l3_len = sizeof(ip);
    packet.mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
  } else {
    // Length and TOS were zero when the template's checksum was taken. The TOS is the second byte of its word.
    ip.checksum = net::UpdateChecksum(ip.checksum, 0, ip.total_length.raw());
    ip.checksum = net::UpdateChecksum(ip.checksum, 0, static_cast<uint16_t>(ip.tos << 8));
  }
  std::memcpy(outer, &ip, sizeof(ip));
}

// RFC 2473; traffic class as above. The flow label comes from the flow hash, so that the network spreads flows to one
// backend over its paths (RFC 6438).
void WriteOuterV6(uint8_t* outer, const uint8_t* inner, uint16_t inner_length, const Packet& packet,
                  const fwd::BackendEntry& backend) {
  net::Ipv6Header ip;
  std::memcpy(&ip, backend.outer.data(), sizeof(ip));
  uint32_t inner_word = 0;
  std::memcpy(&inner_word, inner, sizeof(inner_word));
  const uint32_t traffic_class = Be32::FromRaw(inner_word).Host() & 0x0ff0'0000;
  const uint32_t flow_label = static_cast<uint32_t>(packet.flow_hash >> 8) & 0x000f'ffff;
  ip.version_class_flow = Be32::FromHost(0x6000'0000 | traffic_class | flow_label);
  ip.payload_length = Be16::FromHost(inner_length);
  std::memcpy(outer, &ip, sizeof(ip));
}

// IPIP: the outer header goes between the link-layer header, VLAN tags included, and the inner packet, which is not
// touched.
void RewriteIpip(Packet& packet, const fwd::BackendEntry& backend, const StageEnv& env) {
  const bool v4 = backend.family == net::Family::kIpv4;
  const auto overhead = static_cast<uint16_t>(v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header));
  if (!CanSend(packet, backend, env, overhead)) return;
  if (!backend.has_source) {
    Drop(packet, DropReason::kNoTunnelSource);
    return;
  }
  TrimPadding(packet);
  const auto* old_frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  auto* frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(packet.mbuf, overhead));
  if (frame == nullptr) {
    Drop(packet, DropReason::kNoHeadroom);
    return;
  }
  const uint16_t l2_length = packet.headers.l3_offset;
  std::memmove(frame, old_frame, l2_length);
  uint8_t* outer = frame + l2_length;
  const uint8_t* inner = outer + overhead;
  if (v4) {
    const bool offload = env.node->ports[backend.port.index()].tx_ipv4_checksum;
    WriteOuterV4(outer, inner, packet.headers.ip_length, packet, backend, offload);
  } else {
    WriteOuterV6(outer, inner, packet.headers.ip_length, packet, backend);
  }
  Send(packet, backend);
}

}  // namespace

void Rewrite(Burst& burst, StageEnv& env) {
  const std::vector<fwd::VipEntry>& vips = *env.state->vips;
  const fwd::BackendTable& backends = *env.state->backends;
  for (Packet& packet : burst) {
    if (packet.fate != Fate::kPending) continue;
    const fwd::BackendEntry& backend = backends[packet.backend.index()];
    switch (vips[packet.vip.index()].mode) {
      case fwd::ForwardingMode::kL2:
        RewriteL2(packet, backend, env);
        break;
      case fwd::ForwardingMode::kIpip:
        RewriteIpip(packet, backend, env);
        break;
    }
  }
}

}  // namespace sluice::stage
