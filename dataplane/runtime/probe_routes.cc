#include "dataplane/runtime/probe_routes.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "dataplane/runtime/tap.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::runtime {
namespace {

// Behind what anybody else says of the address.
constexpr uint32_t kMetric = 1'000'000;
// The longest headers that a tunnel puts in front: IPv6, UDP, GUE.
constexpr uint32_t kTunnelBytes = 40 + 8 + 4;
constexpr uint32_t kMinMtuBytes = 1280;  // of IPv6; IPv4 needs less

NlNeighbour MakeNeighbour(const net::IpAddress& vip, const ProbePort& port) {
  NlNeighbour neighbour(rtnl_neigh_alloc());
  rtnl_neigh_set_ifindex(neighbour.get(), port.interface_index);
  rtnl_neigh_set_dst(neighbour.get(), ToNlAddr(vip).get());
  // The worker replaces it.
  rtnl_neigh_set_lladdr(neighbour.get(), ToNlAddr(port.mac).get());
  rtnl_neigh_set_state(neighbour.get(), NUD_PERMANENT);
  return neighbour;
}

NlRoute MakeRoute(const net::IpAddress& vip, const ProbePort& port) {
  NlRoute route(rtnl_route_alloc());
  rtnl_route_set_family(route.get(), static_cast<uint8_t>(AddressFamily(vip)));
  rtnl_route_set_dst(route.get(), ToNlAddr(net::IpPrefix{vip, vip.bits()}).get());
  rtnl_route_set_scope(route.get(), vip.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
  rtnl_route_set_protocol(route.get(), RTPROT_STATIC);
  rtnl_route_set_priority(route.get(), kMetric);
  rtnl_route_set_pref_src(route.get(), ToNlAddr(vip.is_v4() ? *port.address_v4 : *port.address_v6).get());
  rtnl_route_set_metric(route.get(), RTAX_MTU, std::max(kMinMtuBytes, port.mtu_bytes - kTunnelBytes));
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, port.interface_index);
  rtnl_route_add_nexthop(route.get(), hop);  // owns hop now
  return route;
}

}  // namespace

ProbePort ToProbePort(const std::string& name, const stage::PortTraits& traits, const Tap* tap) {
  ProbePort port;
  port.name = name;
  port.mac = traits.mac;
  port.mtu_bytes = traits.mtu_bytes;
  if (tap != nullptr) {
    port.interface = tap->name();
    port.interface_index = static_cast<int>(tap->index());
  }
  if (!traits.address_v4.IsUnspecified()) port.address_v4 = traits.address_v4;
  if (!traits.address_v6.IsUnspecified()) port.address_v6 = traits.address_v6;
  return port;
}

absl::Status ProbeRoutes::Connect() {
  if (socket_ != nullptr) return absl::OkStatus();
  absl::StatusOr<NlSocket> socket = ConnectNetlink();
  if (!socket.ok()) return socket.status();
  socket_ = *std::move(socket);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ProbeRoutes::Add(const net::IpAddress& vip, size_t index) {
  const ProbePort& port = ports_[index];
  if (routes_.contains({vip, index})) return port.interface;
  if (port.interface.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("port ", port.name, " has no exception port, by which checks of ",
                                                      "VIPs leave the host: give it exception.interface, or take ",
                                                      "direct checks"));
  }
  if (vip.is_v4() ? !port.address_v4.has_value() : !port.address_v6.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat("port ", port.name, " has no ", vip.is_v4() ? "IPv4" : "IPv6",
                                                      " address for backends to answer checks of ", vip.ToString(),
                                                      " to: give it one in addresses"));
  }
  if (absl::Status status = Connect(); !status.ok()) return status;
  int result = rtnl_neigh_add(socket_.get(), MakeNeighbour(vip, port).get(), NLM_F_CREATE | NLM_F_REPLACE);
  if (result == 0) result = rtnl_route_add(socket_.get(), MakeRoute(vip, port).get(), NLM_F_CREATE | NLM_F_REPLACE);
  if (result != 0) {
    return absl::UnavailableError(
        absl::StrCat("no route for checks of ", vip.ToString(), " by ", port.interface, ": ", nl_geterror(result)));
  }
  routes_.insert({vip, index});
  return port.interface;
}

void ProbeRoutes::Keep(const std::set<net::IpAddress>& vips) {
  std::erase_if(routes_, [&](const Key& key) {
    if (vips.contains(key.first)) return false;
    rtnl_route_delete(socket_.get(), MakeRoute(key.first, ports_[key.second]).get(), 0);
    rtnl_neigh_delete(socket_.get(), MakeNeighbour(key.first, ports_[key.second]).get(), 0);
    return true;
  });
}

}  // namespace sluice::runtime
