#include "dataplane/runtime/host_routes.h"

#include <algorithm>
#include <cstring>

#include "dataplane/runtime/kernel_routes.h"

namespace sluice::runtime {
namespace {

const HostPort* PortOfInterface(const std::vector<HostPort>& ports, int interface_index) {
  const auto found = std::find_if(ports.begin(), ports.end(), [&](const HostPort& port) {
    return port.interface_index != 0 && port.interface_index == interface_index;
  });
  return found == ports.end() ? nullptr : &*found;
}

}  // namespace

absl::StatusOr<RoutePlan> HostRoutes::ReadPlan(nl_sock* socket) {
  RoutePlanner planner(ports_);
  const absl::Status status = DumpRoutes(socket, [&planner](const HostRoute& route) { planner.Add(route); });
  if (!status.ok()) return status;
  uint64_t suppressed = 0;
  if (planner.ignored() != 0 && too_many_routes_log_.Allow(&suppressed)) {
    SLUICE_LOG(kWarning) << "the host has " << planner.ignored() << " routes more than the " << RoutePlanner::kMaxRoutes
                         << " that are followed; replies to clients of those go by shorter prefixes, such as the "
                            "default route. Remedy: let the routing daemon export fewer routes to the kernel";
  }
  return planner.Finish();
}

void HostRoutes::SetPlan(RoutePlan plan) {
  if (plan == plan_) return;
  // Equal tables with other hops behind them are shared as well.
  if (plan.prefixes != plan_.prefixes || plan.groups != plan_.groups) {
    route_set_ = std::make_shared<const fwd::RouteSet>(plan.prefixes, plan.groups);
  }
  plan_ = std::move(plan);
}

bool HostRoutes::Update(const KernelNeighbours& neighbours) {
  std::vector<fwd::ClientHop> hops;
  hops.reserve(plan_.hops.size());
  const auto lookup = [&](int interface_index, const net::IpAddress& address) -> const KernelNeighbour* {
    const auto found = neighbours.find({interface_index, address});
    return found == neighbours.end() ? nullptr : &found->second;
  };
  for (const RouteHop& hop : plan_.hops) hops.push_back(ResolveRouteHop(ports_, hop, lookup));
  std::shared_ptr<const fwd::NeighbourTable> on_link = OnLink(neighbours);
  if (route_set_ == routes_->routes() && hops == routes_->hops() && on_link == routes_->neighbours()) return false;
  routes_ = std::make_shared<const fwd::ClientRoutes>(route_set_, std::move(hops), std::move(on_link));
  return true;
}

std::shared_ptr<const fwd::NeighbourTable> HostRoutes::OnLink(const KernelNeighbours& neighbours) {
  std::map<NeighbourKey, net::MacAddress> usable;
  size_t left_out = 0;
  for (const auto& [key, neighbour] : neighbours) {
    if (!IsUsable(neighbour) || PortOfInterface(ports_, key.first) == nullptr) continue;
    if (usable.size() < kMaxNeighbours) {
      usable.emplace_hint(usable.end(), key, neighbour.mac);
    } else {
      ++left_out;
    }
  }
  uint64_t suppressed = 0;
  if (left_out != 0 && too_many_neighbours_log_.Allow(&suppressed)) {
    SLUICE_LOG(kWarning) << "the host knows " << left_out << " neighbours more than the " << kMaxNeighbours
                         << " that replies to clients on link can use; replies to those are dropped. Remedy: a router "
                            "between the director and its clients";
  }
  if (usable == on_link_) return routes_->neighbours();
  std::vector<fwd::NeighbourTable::Neighbour> stations;
  stations.reserve(usable.size());
  for (const auto& [key, mac] : usable) {
    const HostPort& port = *PortOfInterface(ports_, key.first);
    fwd::NeighbourTable::Neighbour station{.address = key.second, .hop = {}};
    station.hop.port = port.id;
    station.hop.resolved = true;
    station.hop.on_link = true;
    std::memcpy(station.hop.ether.source, port.mac.data(), sizeof(station.hop.ether.source));
    std::memcpy(station.hop.ether.destination, mac.data(), sizeof(station.hop.ether.destination));
    stations.push_back(station);
  }
  on_link_ = std::move(usable);
  return std::make_shared<const fwd::NeighbourTable>(stations);
}

void HostRoutes::Want(PortId port, const net::IpAddress& address, uint64_t now_ms) {
  const auto found = std::find_if(ports_.begin(), ports_.end(), [&](const HostPort& p) { return p.id == port; });
  if (found == ports_.end() || found->interface_index == 0) return;
  const NeighbourKey key{found->interface_index, address};
  // What a scan makes us want pushes nobody out; it is forgotten by itself.
  if (wanted_.size() >= kMaxWanted && !wanted_.contains(key)) return;
  wanted_[key] = now_ms + kWantedMs;
}

void HostRoutes::AddNeeded(uint64_t now_ms, std::set<NeighbourKey>& needed) {
  for (const RouteHop& hop : plan_.hops) {
    if (hop.kind == RouteHop::Kind::kGateway) needed.insert({hop.interface_index, hop.gateway});
  }
  std::erase_if(wanted_, [now_ms](const auto& entry) { return entry.second < now_ms; });
  for (const auto& [key, until_ms] : wanted_) needed.insert(key);
}

}  // namespace sluice::runtime
