#ifndef SLUICE_DATAPLANE_RUNTIME_ROUTE_PLAN_H_
#define SLUICE_DATAPLANE_RUNTIME_ROUTE_PLAN_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "dataplane/base/ids.h"
#include "dataplane/fwd/client_routes.h"
#include "dataplane/net/address.h"
#include "dataplane/runtime/next_hop_rules.h"

// How the routes to clients follow from the kernel's routes and what the configuration says. Pure.
namespace sluice::runtime {

// One route of the kernel.
struct HostRoute {
  enum class Kind : uint8_t {
    kForward,  // by `hops`
    kLocal,    // to the host itself
    kDiscard,  // blackhole, unreachable, prohibit, broadcast
  };
  struct Hop {
    int interface_index = 0;
    std::optional<net::IpAddress> gateway = std::nullopt;  // nothing: the destination is on link
    uint32_t weight = 1;
  };
  net::IpPrefix prefix;
  uint32_t metric = 0;  // the lowest of a prefix counts
  Kind kind = Kind::kForward;
  std::vector<Hop> hops;
};

// A next hop that routes name, before its MAC address is known.
struct RouteHop {
  enum class Kind : uint8_t { kGateway, kOnLink, kGatewayMac, kLocal };
  Kind kind = Kind::kOnLink;
  PortId port;  // but kLocal
  int interface_index = 0;
  net::IpAddress gateway;  // kGateway only
  friend auto operator<=>(const RouteHop&, const RouteHop&) = default;
};

// What RouteSet is made of, and which hops its groups mean.
struct RoutePlan {
  std::vector<lb::PrefixValue> prefixes;
  std::vector<fwd::RouteSet::Group> groups;
  std::vector<RouteHop> hops;
  friend bool operator==(const RoutePlan&, const RoutePlan&) = default;
};

// Takes the kernel's routes one by one and makes the plan of them.
//   by one or more of our ports          -> those; a port with a gateway_mac uses that for every gateway
//   by other interfaces only, or nowhere -> no hop; but where a port has a gateway_mac, other interfaces do not count
//   to the host itself                   -> local
//   ports with a gateway_mac             -> also their own networks, and everything for the first of them, where the
//                                           kernel has no route of that prefix by one of our ports
class RoutePlanner {
 public:
  // Routes beyond this are not followed.
  static constexpr size_t kMaxRoutes = size_t{1} << 20;
  // Next hops of one route, each as often as its weight says, are at most these.
  static constexpr size_t kMaxGroup = 64;

  explicit RoutePlanner(const std::vector<HostPort>& ports, size_t max_routes = kMaxRoutes);

  void Add(const HostRoute& route);
  // How many were not followed because there were too many.
  size_t ignored() const { return ignored_; }
  // Ends the planning.
  RoutePlan Finish();

 private:
  struct Candidate {
    net::IpPrefix prefix;
    uint32_t metric;
    uint32_t group;
  };
  uint16_t HopId(const RouteHop& hop);
  uint32_t GroupId(const fwd::RouteSet::Group& group);
  std::optional<RouteHop> ToRouteHop(const HostRoute::Hop& hop) const;
  fwd::RouteSet::Group GroupOf(const std::vector<HostRoute::Hop>& hops);
  void AddCandidate(const net::IpPrefix& prefix, uint32_t metric, const fwd::RouteSet::Group& group);
  void AddGatewayMacs();

  const std::vector<HostPort>& ports_;
  const size_t max_routes_;
  bool has_gateway_mac_ = false;
  size_t ignored_ = 0;
  std::vector<Candidate> candidates_;
  std::map<RouteHop, uint16_t> hop_ids_;
  std::map<fwd::RouteSet::Group, uint32_t> group_ids_;
  RoutePlan plan_;
};

// The entry of a neighbour that the kernel knows; null: none.
using NeighbourLookup = std::function<const KernelNeighbour*(int interface_index, const net::IpAddress& address)>;

// The hop with what is known of its MAC address now.
fwd::ClientHop ResolveRouteHop(const std::vector<HostPort>& ports, const RouteHop& hop,
                               const NeighbourLookup& neighbours);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_ROUTE_PLAN_H_
