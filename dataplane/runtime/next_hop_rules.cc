#include "dataplane/runtime/next_hop_rules.h"

#include <linux/neighbour.h>

#include <algorithm>

namespace sluice::runtime {
namespace {

// The port's own address of the family: one in the same network as `peer`, else the first that is not link-local.
std::optional<net::IpAddress> OwnAddress(const HostPort& port, net::Family family, const net::IpAddress& peer) {
  std::optional<net::IpAddress> first;
  for (const net::IpPrefix& prefix : port.addresses) {
    if (prefix.address.family() != family || prefix.address.IsLinkLocal()) continue;
    if (prefix.address.family() == peer.family() && prefix.Contains(peer)) return prefix.address;
    if (!first) first = prefix.address;
  }
  return first;
}

void SetSources(const HostPort& port, const KernelRoute& route, const net::IpAddress& address, fwd::NextHop& hop) {
  const auto v4 = OwnAddress(port, net::Family::kIpv4, address);
  const auto v6 = OwnAddress(port, net::Family::kIpv6, address);
  if (v4) hop.source_v4 = *v4;
  if (v6) hop.source_v6 = *v6;
  if (route.own_source && !route.own_source->IsLinkLocal()) {
    (route.own_source->is_v4() ? hop.source_v4 : hop.source_v6) = *route.own_source;
  }
}

const HostPort* PortOfGatewayMac(const std::vector<HostPort>& ports, const net::IpAddress& address) {
  const HostPort* first = nullptr;
  for (const HostPort& port : ports) {
    if (!port.gateway_mac) continue;
    for (const net::IpPrefix& prefix : port.addresses) {
      if (prefix.address.family() == address.family() && prefix.Contains(address)) return &port;
    }
    if (first == nullptr) first = &port;
  }
  return first;
}

}  // namespace

bool IsUsable(const KernelNeighbour& neighbour) {
  constexpr int kUsable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
  return (neighbour.state & kUsable) != 0 && !neighbour.mac.IsZero();
}

bool NeedsAsking(const KernelNeighbour* neighbour) {
  constexpr int kKernelIsOnIt = NUD_REACHABLE | NUD_DELAY | NUD_PROBE | NUD_INCOMPLETE | NUD_PERMANENT | NUD_NOARP;
  return neighbour == nullptr || (neighbour->state & kKernelIsOnIt) == 0;
}

const HostPort* PortOfRoute(const std::vector<HostPort>& ports, const KernelRoute& route) {
  if (route.interface_index == 0) return nullptr;
  const auto found = std::find_if(ports.begin(), ports.end(), [&route](const HostPort& port) {
    return port.interface_index == route.interface_index;
  });
  return found == ports.end() ? nullptr : &*found;
}

std::optional<net::IpAddress> NeighbourNeeded(const std::vector<HostPort>& ports, const KernelRoute& route) {
  const HostPort* port = PortOfRoute(ports, route);
  if (port == nullptr || (!route.on_link && port->gateway_mac)) return std::nullopt;
  return route.next_hop;
}

fwd::NextHop ChooseNextHop(const std::vector<HostPort>& ports, const net::IpAddress& address, const KernelRoute& route,
                           const KernelNeighbour* neighbour) {
  fwd::NextHop hop;
  const HostPort* port = PortOfRoute(ports, route);
  const bool by_gateway_mac = port == nullptr || (!route.on_link && port->gateway_mac);
  if (port == nullptr) port = PortOfGatewayMac(ports, address);
  if (port == nullptr) return hop;
  hop.port = port->id;
  hop.source = port->mac;
  SetSources(*port, route, address, hop);
  if (by_gateway_mac) {
    hop.resolved = true;
    hop.destination = *port->gateway_mac;
    return hop;
  }
  hop.on_link = route.on_link;
  hop.resolved = neighbour != nullptr && IsUsable(*neighbour);
  if (hop.resolved) hop.destination = neighbour->mac;
  return hop;
}

}  // namespace sluice::runtime
