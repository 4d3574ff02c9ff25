#ifndef SLUICE_DATAPLANE_RUNTIME_NEIGHBOURS_H_
#define SLUICE_DATAPLANE_RUNTIME_NEIGHBOURS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/base/log.h"
#include "dataplane/runtime/host_routes.h"
#include "dataplane/runtime/netlink.h"
#include "dataplane/runtime/next_hop_rules.h"
#include "dataplane/runtime/state_publisher.h"

namespace sluice::runtime {

// Knows the next hops of the watched addresses and the routes to clients, from the kernel's routes and neighbour
// entries, and keeps the kernel resolving them: data packets pass the kernel by, so that without being asked it would
// neither look for a neighbour nor notice that one is gone.
//
// The kernel's notifications only say that something changed; what holds is then read anew. So nothing goes wrong when
// notifications are lost. Reading routes takes longer the more there are, so it is done with nobody waiting for it, and
// has at most a tenth of the thread's time: changes are followed within 200 ms, and with a million routes within some
// ten seconds.
//
// For a watched address the kernel itself chooses one of several next hops, always the same one; packets to clients are
// spread over them (fwd::RouteSet).
class Neighbours : public NextHopSource {
 public:
  // In the network namespace of the calling thread.
  static absl::StatusOr<std::unique_ptr<Neighbours>> Create(std::vector<HostPort> ports);

  // Control threads; these wait for each other.
  void Watch(const std::vector<net::IpAddress>& addresses) override;
  fwd::NextHop Lookup(const net::IpAddress& address) override;
  std::shared_ptr<const fwd::ClientRoutes> Routes() override;

  // A worker has packets for a station on link that it cannot reach. The thread of Poll.
  void Want(PortId port, const net::IpAddress& address);

  // Waits up to `timeout_ms` for notifications, brings the next hops up to date and asks the kernel for what is
  // missing. True: a next hop or a route has changed. One control thread.
  bool Poll(int timeout_ms);

 private:
  struct Watched {
    KernelRoute route;
    fwd::NextHop hop;
    bool reported = false;  // that it has no route by our ports
  };
  // When to ask again for a neighbour that does not answer.
  struct Asking {
    uint64_t next_ms = 0;
    uint64_t interval_ms = 0;
  };

  Neighbours(std::vector<HostPort> ports, NlSocket requests, NlSocket route_requests, NlSocket events)
      : ports_(std::move(ports)),
        requests_(std::move(requests)),
        route_requests_(std::move(route_requests)),
        events_(std::move(events)) {}

  static int OnEvent(nl_msg* message, void* self);
  void ReadEvents();
  // Of all watched addresses and to clients; takes mutex_ only to take over what it read.
  void ReadRoutes();
  // The kernel's route of now; nothing when it cannot be told at the moment.
  static std::optional<KernelRoute> ReadRoute(nl_sock* socket, const net::IpAddress& address);
  // Of the exception interfaces, when something happened to a link.
  void KeepMacAddresses();
  // The following hold mutex_.
  void ReadNeighbours();
  bool Choose();
  void AskKernel(uint64_t now_ms);
  void Ask(const NeighbourKey& key);
  void ReportNoRoute(const net::IpAddress& address, Watched& watched);
  const KernelNeighbour* FindNeighbour(const KernelRoute& route) const;

  const std::vector<HostPort> ports_;
  const NlSocket requests_;  // with mutex_
  // The following only in Poll.
  const NlSocket route_requests_;
  const NlSocket events_;
  bool routes_changed_ = true;
  bool neighbours_changed_ = false;
  bool links_changed_ = true;
  LogRateLimit mac_log_{10'000};
  bool wanted_changed_ = false;
  uint64_t next_routes_ms_ = 0;
  uint64_t last_asked_ms_ = 0;
  LogRateLimit routes_failed_log_{10'000};

  std::mutex mutex_;
  bool reread_ = false;  // something could not be read: as if it had changed
  HostRoutes host_routes_{ports_};
  std::map<net::IpAddress, Watched> watched_;
  KernelNeighbours neighbours_;
  std::map<NeighbourKey, Asking> asking_;
  LogRateLimit ask_failed_log_{10'000};
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_NEIGHBOURS_H_
