#ifndef SLUICE_DATAPLANE_RUNTIME_PROBE_ROUTES_H_
#define SLUICE_DATAPLANE_RUNTIME_PROBE_ROUTES_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/fwd/probe_ports.h"
#include "dataplane/net/address.h"
#include "dataplane/runtime/netlink.h"
#include "dataplane/runtime/options.h"

namespace sluice::stage {
struct PortTraits;
}

namespace sluice::runtime {

class Tap;

// What probes need of an exception port.
struct ProbePort {
  std::string name;
  std::string interface;  // empty: the port has no exception port
  int interface_index = 0;
  net::MacAddress mac;
  uint32_t mtu_bytes = 1500;
  std::optional<net::IpAddress> address_v4;  // ours
  std::optional<net::IpAddress> address_v6;
};

// `tap`: null where there is none.
ProbePort ToProbePort(const std::string& name, const stage::PortTraits& traits, const Tap* tap);

// Makes the host's kernel send what its health checks address to VIPs out of an exception port, where a worker takes
// it up: one route for each VIP, with our address of the port as its source and an MTU that leaves room for a tunnel's
// headers, and one permanent neighbour, so that nobody is asked for the VIP's MAC address. They stand beside the host's
// own routes, behind them by metric, and count for sockets that are bound to the interface. They go with the interface.
// One thread.
class ProbeRoutes {
 public:
  explicit ProbeRoutes(std::vector<ProbePort> ports) : ports_(std::move(ports)) {}

  // Returns the name of the interface. Errors name the port and what it lacks.
  absl::StatusOr<std::string> Add(const net::IpAddress& vip, size_t port);
  // Removes those of other VIPs.
  void Keep(const std::set<net::IpAddress>& vips);
  const std::vector<ProbePort>& ports() const { return ports_; }

 private:
  using Key = std::pair<net::IpAddress, size_t>;
  absl::Status Connect();

  const std::vector<ProbePort> ports_;
  NlSocket socket_;
  std::set<Key> routes_;
};

// How packets of the host's health checks find their backends: out of the kernel, and from a worker on.
struct ProbePaths {
  ProbePaths(const DataplaneOptions& options, std::vector<ProbePort> probe_ports)
      : ports(options.probe_first_port, options.probe_last_port), routes(std::move(probe_ports)) {}

  fwd::ProbePorts ports;
  ProbeRoutes routes;  // ports by PortId
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_PROBE_ROUTES_H_
