#ifndef SLUICE_DATAPLANE_RUNTIME_NEIGHBOURS_H_
#define SLUICE_DATAPLANE_RUNTIME_NEIGHBOURS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/base/log.h"
#include "dataplane/runtime/netlink.h"
#include "dataplane/runtime/next_hop_rules.h"
#include "dataplane/runtime/state_publisher.h"

namespace sluice::runtime {

// Knows the next hops of the watched addresses, from the kernel's routes and neighbour entries, and keeps the kernel
// resolving them: data packets pass the kernel by, so that without being asked it would neither look for a neighbour
// nor notice that one is gone.
//
// The kernel's notifications only say that something changed; what holds is then read anew. So nothing goes wrong when
// notifications are lost.
class Neighbours : public NextHopSource {
 public:
  // In the network namespace of the calling thread.
  static absl::StatusOr<std::unique_ptr<Neighbours>> Create(std::vector<HostPort> ports);

  // Control threads; these wait for each other.
  void Watch(const std::vector<net::IpAddress>& addresses) override;
  fwd::NextHop Lookup(const net::IpAddress& address) override;

  // Waits up to `timeout_ms` for notifications, brings the next hops up to date and asks the kernel for what is
  // missing. True: a next hop has changed. One control thread.
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
  using NeighbourKey = std::pair<int, net::IpAddress>;  // interface, address

  Neighbours(std::vector<HostPort> ports, NlSocket requests, NlSocket events)
      : ports_(std::move(ports)), requests_(std::move(requests)), events_(std::move(events)) {}

  static int OnEvent(nl_msg* message, void* self);
  void ReadEvents();
  // The following hold mutex_.
  // The kernel's route of now; `known` when it cannot be told at the moment.
  KernelRoute ReadRoute(const net::IpAddress& address, const KernelRoute& known);
  void ReadRoutes();
  void ReadNeighbours();
  bool Choose();
  void AskKernel(uint64_t now_ms);
  void Ask(const NeighbourKey& key);
  void ReportNoRoute(const net::IpAddress& address, Watched& watched);
  const KernelNeighbour* FindNeighbour(const KernelRoute& route) const;

  const std::vector<HostPort> ports_;
  const NlSocket requests_;
  const NlSocket events_;
  // Only in Poll.
  bool routes_changed_ = false;
  bool neighbours_changed_ = false;
  uint64_t last_routes_ms_ = 0;
  uint64_t last_asked_ms_ = 0;

  std::mutex mutex_;
  std::map<net::IpAddress, Watched> watched_;
  std::map<NeighbourKey, KernelNeighbour> neighbours_;
  std::map<NeighbourKey, Asking> asking_;
  LogRateLimit ask_failed_log_{10'000};
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_NEIGHBOURS_H_
