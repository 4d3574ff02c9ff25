#include "dataplane/runtime/route_plan.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <tuple>
#include <utility>

namespace sluice::runtime {
namespace {

// What the kernel's metrics are all below: a route of its own of the same prefix comes first.
constexpr uint32_t kLastMetric = std::numeric_limits<uint32_t>::max();

const HostPort* PortOfInterface(const std::vector<HostPort>& ports, int interface_index) {
  if (interface_index == 0) return nullptr;
  const auto found = std::find_if(ports.begin(), ports.end(),
                                  [&](const HostPort& port) { return port.interface_index == interface_index; });
  return found == ports.end() ? nullptr : &*found;
}

const HostPort* PortOfId(const std::vector<HostPort>& ports, PortId id) {
  const auto found = std::find_if(ports.begin(), ports.end(), [&](const HostPort& port) { return port.id == id; });
  return found == ports.end() ? nullptr : &*found;
}

auto Key(const net::IpPrefix& prefix) { return std::tie(prefix.address, prefix.length); }

}  // namespace

RoutePlanner::RoutePlanner(const std::vector<HostPort>& ports, size_t max_routes)
    : ports_(ports), max_routes_(max_routes) {
  has_gateway_mac_ =
      std::any_of(ports.begin(), ports.end(), [](const HostPort& port) { return port.gateway_mac.has_value(); });
}

uint16_t RoutePlanner::HopId(const RouteHop& hop) {
  const auto [known, is_new] = hop_ids_.try_emplace(hop, static_cast<uint16_t>(plan_.hops.size()));
  if (is_new) plan_.hops.push_back(hop);
  return known->second;
}

uint32_t RoutePlanner::GroupId(const fwd::RouteSet::Group& group) {
  const auto [known, is_new] = group_ids_.try_emplace(group, static_cast<uint32_t>(plan_.groups.size()));
  if (is_new) plan_.groups.push_back(group);
  return known->second;
}

std::optional<RouteHop> RoutePlanner::ToRouteHop(const HostRoute::Hop& hop) const {
  const HostPort* port = PortOfInterface(ports_, hop.interface_index);
  if (port == nullptr) return std::nullopt;
  RouteHop result{
      .kind = RouteHop::Kind::kOnLink, .port = port->id, .interface_index = hop.interface_index, .gateway = {}};
  if (!hop.gateway) return result;
  if (port->gateway_mac) {
    result.kind = RouteHop::Kind::kGatewayMac;
  } else {
    result.kind = RouteHop::Kind::kGateway;
    result.gateway = *hop.gateway;
  }
  return result;
}

fwd::RouteSet::Group RoutePlanner::GroupOf(const std::vector<HostRoute::Hop>& hops) {
  std::vector<std::pair<RouteHop, uint64_t>> ours;
  uint64_t total = 0;
  for (const HostRoute::Hop& hop : hops) {
    const auto ours_too = ToRouteHop(hop);
    // Ids have 16 bits; a host with so many gateways is not meant for this.
    if (!ours_too || plan_.hops.size() + hops.size() >= fwd::RouteSet::kNone) continue;
    ours.emplace_back(*ours_too, std::max<uint32_t>(1, hop.weight));
    total += ours.back().second;
  }
  fwd::RouteSet::Group group;
  for (const auto& [hop, weight] : ours) {
    const uint64_t share = total <= kMaxGroup ? weight : std::max<uint64_t>(1, weight * kMaxGroup / total);
    group.insert(group.end(), share, HopId(hop));
  }
  std::sort(group.begin(), group.end());
  return group;
}

void RoutePlanner::AddCandidate(const net::IpPrefix& prefix, uint32_t metric, const fwd::RouteSet::Group& group) {
  candidates_.push_back({.prefix = prefix, .metric = metric, .group = GroupId(group)});
}

void RoutePlanner::Add(const HostRoute& route) {
  if (candidates_.size() >= max_routes_) {
    ++ignored_;
    return;
  }
  switch (route.kind) {
    case HostRoute::Kind::kLocal:
      // Before all others of the prefix: the kernel looks into its table of them first.
      AddCandidate(route.prefix, 0,
                   {HopId({.kind = RouteHop::Kind::kLocal, .port = {}, .interface_index = 0, .gateway = {}})});
      return;
    case HostRoute::Kind::kDiscard:
      AddCandidate(route.prefix, route.metric, {});
      return;
    case HostRoute::Kind::kForward:
      break;
  }
  const fwd::RouteSet::Group group = GroupOf(route.hops);
  if (group.empty() && has_gateway_mac_) return;
  AddCandidate(route.prefix, route.metric, group);
}

void RoutePlanner::AddGatewayMacs() {
  bool first = true;
  for (const HostPort& port : ports_) {
    if (!port.gateway_mac) continue;
    const fwd::RouteSet::Group group = {HopId({.kind = RouteHop::Kind::kGatewayMac,
                                               .port = port.id,
                                               .interface_index = port.interface_index,
                                               .gateway = {}})};
    for (const net::IpPrefix& own : port.addresses) AddCandidate(own.Network(), kLastMetric, group);
    if (!first) continue;
    first = false;
    constexpr std::array<uint8_t, 16> kZero{};
    for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
      AddCandidate({net::IpAddress::FromBytes(family, kZero.data()), 0}, kLastMetric, group);
    }
  }
}

RoutePlan RoutePlanner::Finish() {
  AddGatewayMacs();
  std::stable_sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return std::tuple(Key(a.prefix), a.metric) < std::tuple(Key(b.prefix), b.metric);
  });
  for (const Candidate& candidate : candidates_) {
    if (!plan_.prefixes.empty() && plan_.prefixes.back().prefix == candidate.prefix) continue;
    plan_.prefixes.push_back({.prefix = candidate.prefix, .value = candidate.group});
  }
  candidates_.clear();
  return std::move(plan_);
}

fwd::ClientHop ResolveRouteHop(const std::vector<HostPort>& ports, const RouteHop& hop,
                               const NeighbourLookup& neighbours) {
  fwd::ClientHop resolved;
  resolved.local = hop.kind == RouteHop::Kind::kLocal;
  const HostPort* port = PortOfId(ports, hop.port);
  if (resolved.local || port == nullptr) return resolved;
  resolved.port = port->id;
  resolved.on_link = hop.kind == RouteHop::Kind::kOnLink;
  std::memcpy(resolved.ether.source, port->mac.data(), sizeof(resolved.ether.source));
  const auto set_destination = [&](const net::MacAddress& mac) {
    resolved.resolved = true;
    std::memcpy(resolved.ether.destination, mac.data(), sizeof(resolved.ether.destination));
  };
  if (hop.kind == RouteHop::Kind::kGatewayMac && port->gateway_mac) set_destination(*port->gateway_mac);
  if (hop.kind == RouteHop::Kind::kGateway) {
    const KernelNeighbour* neighbour = neighbours(hop.interface_index, hop.gateway);
    if (neighbour != nullptr && IsUsable(*neighbour)) set_destination(neighbour->mac);
  }
  return resolved;
}

}  // namespace sluice::runtime
