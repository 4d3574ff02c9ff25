#ifndef SLUICE_DATAPLANE_STAGE_ENCAPSULATE_H_
#define SLUICE_DATAPLANE_STAGE_ENCAPSULATE_H_

#include <cstdint>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// What a mode puts between the outer IP header and the inner packet, in bytes.
constexpr uint16_t ShimBytes(fwd::ForwardingMode mode) {
  switch (mode) {
    case fwd::ForwardingMode::kGue:
      return sizeof(net::UdpHeader) + sizeof(net::GueHeader);
    case fwd::ForwardingMode::kGueDirect:
      return sizeof(net::UdpHeader);
    case fwd::ForwardingMode::kGre:
      return sizeof(net::GreHeader);
    case fwd::ForwardingMode::kL2:
    case fwd::ForwardingMode::kIpip:
    case fwd::ForwardingMode::kNat:
    case fwd::ForwardingMode::kFullNat:
      break;
  }
  return 0;
}

constexpr uint16_t OuterIpBytes(net::Family family) {
  return family == net::Family::kIpv4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
}

// Bytes that a mode puts in front of the inner packet on the way to a backend of `outer` family; 0 for L2.
constexpr uint16_t EncapsulationBytes(fwd::ForwardingMode mode, net::Family outer) {
  if (mode == fwd::ForwardingMode::kL2) return 0;
  return static_cast<uint16_t>(OuterIpBytes(outer) + ShimBytes(mode));
}

// Bytes of GUE's private data that names a second backend, of a tunnel of the family.
constexpr uint16_t SecondChanceBytes(net::Family outer) {
  return sizeof(net::GueSecondChance) + (outer == net::Family::kIpv4 ? 4 : 16);
}

// The same with what a packet of the VIP may have beyond it. A packet that has it must not be larger than the others,
// or the path's MTU would change with the backends.
constexpr uint16_t MostEncapsulationBytes(const fwd::VipEntry& vip, net::Family outer) {
  return static_cast<uint16_t>(EncapsulationBytes(vip.mode, outer) +
                               (vip.second_chance ? SecondChanceBytes(outer) : 0));
}

// What of a tunnel's outer headers varies by flow. Without a source prefix the source is the port's own address.
struct TunnelFields {
  net::IpAddress source;
  uint16_t udp_source_port = 0;  // GUE, host byte order
  uint32_t flow_label = 0;       // IPv6
};
TunnelFields TunnelFieldsOf(const NodeTraits& node, const fwd::BackendEntry& backend, uint64_t flow_hash);

// Puts the outer headers of a tunnel mode between the link-layer header, VLAN tags included, and the inner packet,
// which is not touched; Ethernet padding is cut off. Any mix of inner and outer family. Traffic class and ECN are
// copied (RFC 6040, normal mode); what varies by flow is the UDP source port (GUE), the flow label (IPv6), and the host
// bits of the source where tunnels have a source prefix. False: the packet was dropped.
bool Encapsulate(Packet& packet, const fwd::VipEntry& vip, const fwd::BackendEntry& backend, const StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_ENCAPSULATE_H_
