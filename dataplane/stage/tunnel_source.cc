#include "dataplane/stage/tunnel_source.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "dataplane/net/headers.h"

namespace sluice::stage {

TunnelSource ToTunnelSource(const std::optional<net::IpPrefix>& prefix) {
  TunnelSource source;
  if (!prefix) return source;
  source.enabled = true;
  for (size_t i = 0; i < prefix->address.size(); ++i) {
    const int network_bits = std::clamp(prefix->length - 8 * static_cast<int>(i), 0, 8);
    source.host_mask[i] = static_cast<uint8_t>(0xff >> network_bits);
    source.prefix[i] = static_cast<uint8_t>(prefix->address.data()[i] & ~source.host_mask[i]);
  }
  return source;
}

void CollectOwnSources(NodeTraits& node) {
  node.own_sources_v4.count = node.own_sources_v6.count = 0;
  for (const PortTraits& port : node.ports) {
    for (const net::IpAddress* address : {&port.address_v4, &port.address_v6}) {
      if (address->IsUnspecified()) continue;
      OwnSources& own = address->family() == net::Family::kIpv4 ? node.own_sources_v4 : node.own_sources_v6;
      if (own.count == own.addresses.size()) continue;
      std::copy_n(address->data(), address->size(), own.addresses[own.count++].begin());
    }
  }
}

bool IsOwnTunnel(const Packet& packet, const NodeTraits& node) {
  const uint8_t protocol = packet.headers.protocol;
  if (protocol != net::kProtocolUdp && protocol != net::kProtocolIpip && protocol != net::kProtocolIpv6 &&
      protocol != net::kProtocolGre) {
    return false;
  }
  const auto* source = rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, packet.client_offset);
  return packet.headers.family == net::Family::kIpv4 ? IsOwnSource<net::Family::kIpv4>(source, node)
                                                     : IsOwnSource<net::Family::kIpv6>(source, node);
}

}  // namespace sluice::stage
