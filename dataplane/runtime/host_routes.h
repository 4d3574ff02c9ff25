#ifndef SLUICE_DATAPLANE_RUNTIME_HOST_ROUTES_H_
#define SLUICE_DATAPLANE_RUNTIME_HOST_ROUTES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/base/log.h"
#include "dataplane/fwd/client_routes.h"
#include "dataplane/runtime/netlink.h"
#include "dataplane/runtime/next_hop_rules.h"
#include "dataplane/runtime/route_plan.h"

namespace sluice::runtime {

using NeighbourKey = std::pair<int, net::IpAddress>;  // interface, address
using KernelNeighbours = std::map<NeighbourKey, KernelNeighbour>;

// The routes to clients, from the kernel's routes and neighbours. A part that did not change is shared with the last
// ones: a neighbour's change costs the next hops and the neighbours on link, but never the table of routes.
class HostRoutes {
 public:
  // Stations on link that workers asked for are kept resolved for so long.
  static constexpr uint64_t kWantedMs = 60'000;
  // As many of them at once.
  static constexpr size_t kMaxWanted = 4096;
  // Neighbours on link that workers are told of.
  static constexpr size_t kMaxNeighbours = 65536;

  // `ports` outlives this.
  explicit HostRoutes(const std::vector<HostPort>& ports) : ports_(ports) {}

  // The kernel's routes of now; says in the log when there are too many. Does not touch this object's other state, so
  // nobody needs to wait for it.
  absl::StatusOr<RoutePlan> ReadPlan(nl_sock* socket);

  // The following one at a time.
  void SetPlan(RoutePlan plan);
  // Brings the result up to date with what the kernel knows of neighbours. True: it has changed.
  bool Update(const KernelNeighbours& neighbours);
  // Never null.
  const std::shared_ptr<const fwd::ClientRoutes>& routes() const { return routes_; }

  // A worker has packets for a station on link.
  void Want(PortId port, const net::IpAddress& address, uint64_t now_ms);
  // Adds the neighbours that the kernel is to be asked for: gateways and wanted stations.
  void AddNeeded(uint64_t now_ms, std::set<NeighbourKey>& needed);

 private:
  std::shared_ptr<const fwd::NeighbourTable> OnLink(const KernelNeighbours& neighbours);

  const std::vector<HostPort>& ports_;
  RoutePlan plan_;
  std::shared_ptr<const fwd::RouteSet> route_set_ = std::make_shared<const fwd::RouteSet>();
  std::map<NeighbourKey, net::MacAddress> on_link_;  // what the newest neighbour table was made of
  std::shared_ptr<const fwd::ClientRoutes> routes_ = std::make_shared<const fwd::ClientRoutes>();
  std::map<NeighbourKey, uint64_t> wanted_;  // and until when
  LogRateLimit too_many_routes_log_{60'000};
  LogRateLimit too_many_neighbours_log_{60'000};
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_HOST_ROUTES_H_
