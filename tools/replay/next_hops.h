#ifndef SLUICE_TOOLS_REPLAY_NEXT_HOPS_H_
#define SLUICE_TOOLS_REPLAY_NEXT_HOPS_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "config/schema.h"
#include "dataplane/fwd/client_routes.h"
#include "dataplane/fwd/forwarding_state.h"

namespace sluice::replay {

// What the host's kernel would have said about a neighbour: its MAC address, or nothing yet.
using Neighbours = std::map<net::IpAddress, std::optional<net::MacAddress>>;

// Reads a YAML mapping of address to MAC address or to the word `unresolved`. Errors name file, line and value.
absl::StatusOr<Neighbours> LoadNeighbours(const std::string& path);
absl::StatusOr<Neighbours> ParseNeighbours(const std::string& text, const std::string& name);

// Next hops without a kernel, from the configuration alone:
//   - a port with an address whose prefix contains the destination: on link, the neighbour is the destination itself;
//   - else the first port with a gateway of the destination's family: the neighbour is the gateway, and the port's
//     gateway_mac, if set, is its MAC address;
//   - else there is no route.
// A neighbour that `neighbours` does not name has the MAC address DefaultMac(address).
class NextHops {
 public:
  // `macs`: the ports' own MAC addresses, one for each port.
  NextHops(std::vector<config::PortConfig> ports, std::vector<net::MacAddress> macs, Neighbours neighbours)
      : ports_(std::move(ports)), macs_(std::move(macs)), neighbours_(std::move(neighbours)) {}

  fwd::NextHop Lookup(const net::IpAddress& destination) const;

  // The routes to clients by the same rules, the host's own addresses among them. Of the stations on link those are
  // known that `neighbours` names and those of `stations`.
  std::shared_ptr<const fwd::ClientRoutes> Routes(const std::set<net::IpAddress>& stations) const;

  // 02:00 and the last four bytes of the address: 10.0.0.17 has 02:00:0a:00:00:11.
  static net::MacAddress DefaultMac(const net::IpAddress& address);
  // What a port's own MAC address is unless something else is known: 02:5c:00:00:00 and the port's number in the
  // configuration, counted from 0.
  static net::MacAddress DefaultPortMac(PortId port);

 private:
  std::optional<net::MacAddress> MacOf(const net::IpAddress& neighbour) const;
  // The port in whose network the address is; ports_.size(): none.
  size_t PortOnLink(const net::IpAddress& address) const;

  std::vector<config::PortConfig> ports_;
  std::vector<net::MacAddress> macs_;
  Neighbours neighbours_;
};

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_NEXT_HOPS_H_
