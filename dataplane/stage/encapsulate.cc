#include "dataplane/stage/encapsulate.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "dataplane/fwd/second_chance.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/mbuf_sum.h"
#include "dataplane/stage/outer_header.h"

namespace sluice::stage {
namespace {

using net::Store;

// Ethernet padding would follow the inner packet into the tunnel. In a chain of buffers it is left: the IP lengths tell
// it from the packet.
inline void TrimPadding(const Packet& packet) {
  rte_mbuf* mbuf = packet.mbuf;
  const uint32_t packet_end = uint32_t{packet.headers.l3_offset} + packet.headers.ip_length;
  const uint32_t padding = rte_pktmbuf_pkt_len(mbuf) - packet_end;
  if (padding > 0 && mbuf->nb_segs == 1) rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(padding));
}

// Source address within the tunnels' prefix; the hash's middle bits, which choose neither slot nor bucket first.
void ApplySourcePrefix(const TunnelSource& source, uint64_t flow_hash, uint8_t* address, size_t size) {
  const uint64_t bits = (flow_hash >> 16) * 0x9e37'79b9'7f4a'7c15;
  bool all_zero = true;
  bool all_one = true;
  for (size_t i = 0; i < size; ++i) {
    const auto host = static_cast<uint8_t>(bits >> (8 * (i % 8)) & source.host_mask[i]);
    all_zero &= host == 0;
    all_one &= host == source.host_mask[i];
    address[i] = static_cast<uint8_t>(source.prefix[i] | host);
  }
  // To hosts that take the prefix for a network these are its own address and its broadcast (RFC 1122,
  // section 3.2.1.3), and in IPv6 the routers' anycast address (RFC 4291, section 2.6.1). With one host bit there are
  // no others (RFC 3021).
  const bool has_others = (source.host_mask[size - 1] & 2) != 0;
  if (has_others && (all_zero || all_one)) address[size - 1] ^= 1;
}

struct Outer {
  uint8_t traffic_class;
  uint8_t protocol;
  uint16_t payload_bytes;  // behind the IP header
};

void WriteOuterV4(uint8_t* at, const Outer& outer, Packet& packet, const fwd::BackendEntry& backend,
                  const StageEnv& env) {
  net::Ipv4Header ip;
  std::memcpy(&ip, backend.outer.data(), sizeof(ip));
  ip.tos = outer.traffic_class;
  ip.protocol = outer.protocol;
  ip.total_length = Be16::FromHost(static_cast<uint16_t>(sizeof(ip) + outer.payload_bytes));
  const TunnelSource& source = env.node->tunnel_source_v4;
  if (source.enabled) {
    // The backend's sum is over the port's own address.
    ApplySourcePrefix(source, packet.flow_hash, reinterpret_cast<uint8_t*>(&ip) + offsetof(net::Ipv4Header, source), 4);
  }
  if (env.node->ports[backend.port.index()].tx_ipv4_checksum) {
    LeaveChecksumToDevice(packet.mbuf, packet.headers.l3_offset);
  } else if (source.enabled) {
    ip.checksum = net::InternetChecksum(reinterpret_cast<const uint8_t*>(&ip), sizeof(ip));
  } else {
    ip.checksum = CompleteChecksum(backend.outer_sum(), ip.total_length.Host(), ip.tos, ip.protocol);
  }
  Store(at, ip);
}

void WriteOuterV6(uint8_t* at, const Outer& outer, const Packet& packet, const fwd::BackendEntry& backend,
                  const StageEnv& env) {
  net::Ipv6Header ip;
  std::memcpy(&ip, backend.outer.data(), sizeof(ip));
  ip.version_class_flow = VersionClassFlow(outer.traffic_class, packet.flow_hash);
  ip.next_header = outer.protocol;
  ip.payload_length = Be16::FromHost(outer.payload_bytes);
  if (env.node->tunnel_source_v6.enabled) {
    ApplySourcePrefix(env.node->tunnel_source_v6, packet.flow_hash, ip.source, sizeof(ip.source));
  }
  Store(at, ip);
}

// Whether the packet's connection could be another backend's than it goes to. A SYN begins one here, and what has no
// TCP header cannot be looked for.
bool MayBeElsewhere(const Packet& packet) {
  return fwd::MayBeElsewhere(packet.rung) && packet.headers.protocol == net::kProtocolTcp &&
         packet.part == FragmentPart::kWhole && !packet.related && (packet.headers.tcp_flags & net::kTcpSyn) == 0;
}

// The address of the backend to name beside the packet's own, in network byte order; null: nobody.
const uint8_t* SecondFor(const Packet& packet, const fwd::VipEntry& vip, const StageEnv& env) {
  if (!vip.second_chance || !MayBeElsewhere(packet)) return nullptr;
  const BackendId second = fwd::SecondChanceOf(*env.state, vip, packet.flow_hash, packet.backend);
  if (!second.valid()) return nullptr;
  env.counters->second_chances.Increment();
  return (*env.state->backends)[second.index()].address();
}

void WriteSecondChance(uint8_t* at, const uint8_t* address, net::Family family) {
  net::GueSecondChance second{};
  second.version = net::kSecondChanceVersion;
  Store(at, second);
  std::memcpy(at + sizeof(second), address, family == net::Family::kIpv4 ? 4 : 16);
}

// RFC 8200, section 8.1: UDP over IPv6 has a checksum, here over the whole inner packet. (RFC 6935 allows zero for
// tunnels whose ends agree; a backend's stock kernel does not.)
void FillUdpChecksumV6(rte_mbuf* mbuf, uint32_t ip_offset, uint16_t udp_bytes) {
  auto* ip = rte_pktmbuf_mtod_offset(mbuf, uint8_t*, ip_offset);
  uint32_t sum = net::PartialSum(ip + offsetof(net::Ipv6Header, source), 32);
  sum += Be16::FromHost(udp_bytes).raw();
  sum += Be16::FromHost(net::kProtocolUdp).raw();
  sum = PartialSumOf(mbuf, ip_offset + static_cast<uint32_t>(sizeof(net::Ipv6Header)), udp_bytes, sum);
  const auto checksum = static_cast<uint16_t>(~net::FoldSum(sum));
  uint8_t* udp = ip + sizeof(net::Ipv6Header);
  // Zero means "none", so a computed zero is sent as all ones.
  Store(udp + offsetof(net::UdpHeader, checksum), checksum == 0 ? uint16_t{0xffff} : checksum);
}

}  // namespace

TunnelFields TunnelFieldsOf(const NodeTraits& node, const fwd::BackendEntry& backend, uint64_t flow_hash) {
  const bool v4 = backend.family == net::Family::kIpv4;
  const size_t source_offset = v4 ? offsetof(net::Ipv4Header, source) : offsetof(net::Ipv6Header, source);
  std::array<uint8_t, 16> source{};
  std::copy_n(backend.outer.begin() + static_cast<std::ptrdiff_t>(source_offset), v4 ? 4 : 16, source.begin());
  const TunnelSource& prefix = v4 ? node.tunnel_source_v4 : node.tunnel_source_v6;
  if (prefix.enabled) ApplySourcePrefix(prefix, flow_hash, source.data(), v4 ? 4 : 16);
  return {.source = net::IpAddress::FromBytes(backend.family, source.data()),
          .udp_source_port = UdpSourcePort(flow_hash),
          .flow_label = FlowLabel(flow_hash)};
}

bool Encapsulate(Packet& packet, const fwd::VipEntry& vip, const fwd::BackendEntry& backend, const StageEnv& env) {
  const bool v4 = backend.family == net::Family::kIpv4;
  const TunnelSource& source = v4 ? env.node->tunnel_source_v4 : env.node->tunnel_source_v6;
  if (!backend.has_source && !source.enabled) {
    Drop(packet, DropReason::kNoTunnelSource);
    return false;
  }
  TrimPadding(packet);
  const uint8_t* const second = SecondFor(packet, vip, env);
  const uint16_t private_bytes = second == nullptr ? uint16_t{0} : SecondChanceBytes(backend.family);
  const auto overhead = static_cast<uint16_t>(EncapsulationBytes(vip.mode, backend.family) + private_bytes);
  const uint16_t l2_bytes = packet.headers.l3_offset;
  const auto* old_frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  auto* frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(packet.mbuf, overhead));
  if (frame == nullptr) {
    Drop(packet, DropReason::kNoHeadroom);
    return false;
  }
  std::memmove(frame, old_frame, l2_bytes);
  // The EtherType is the last of the link-layer header, behind the VLAN tags.
  Store(frame + l2_bytes - sizeof(Be16), backend.ether.ether_type);
  uint8_t* at = frame + l2_bytes;
  const uint8_t* inner = at + overhead;
  const auto payload_bytes = static_cast<uint16_t>(overhead - OuterIpBytes(backend.family) + packet.headers.ip_length);
  const Outer outer = {.traffic_class = TrafficClassOf(inner, packet.headers.family),
                       .protocol = OuterProtocol(vip.mode, packet.headers.family),
                       .payload_bytes = payload_bytes};
  WriteShim(at + OuterIpBytes(backend.family), vip.mode, vip.gue_port, packet, payload_bytes, private_bytes);
  if (second != nullptr) WriteSecondChance(at + overhead - private_bytes, second, backend.family);
  if (v4) {
    WriteOuterV4(at, outer, packet, backend, env);
  } else {
    WriteOuterV6(at, outer, packet, backend, env);
    if (outer.protocol == net::kProtocolUdp) FillUdpChecksumV6(packet.mbuf, l2_bytes, payload_bytes);
  }
  return true;
}

}  // namespace sluice::stage
