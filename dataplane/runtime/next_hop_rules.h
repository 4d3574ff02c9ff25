#ifndef SLUICE_DATAPLANE_RUNTIME_NEXT_HOP_RULES_H_
#define SLUICE_DATAPLANE_RUNTIME_NEXT_HOP_RULES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/base/ids.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/net/address.h"

// How a next hop follows from what the kernel said and what the configuration says. Pure.
namespace sluice::runtime {

// What the choice of a next hop needs of a port.
struct HostPort {
  PortId id;
  net::MacAddress mac;
  int interface_index = 0;  // of the exception port; 0: none
  std::vector<net::IpPrefix> addresses;
  std::optional<net::MacAddress> gateway_mac;
};

// The kernel's route for one address.
struct KernelRoute {
  int interface_index = 0;                   // 0: there is none
  net::IpAddress next_hop;                   // the gateway, or the address itself
  bool on_link = false;                      // next_hop is the address itself
  std::optional<net::IpAddress> own_source;  // what the kernel would send from
};

// The kernel's entry for one neighbour.
struct KernelNeighbour {
  uint16_t state = 0;  // NUD_*
  net::MacAddress mac;
  friend bool operator==(const KernelNeighbour&, const KernelNeighbour&) = default;
};

// True when the entry's MAC address may be used: also while the kernel doubts it and is asking again, because the last
// known address is right far more often than not, and no packet is lost meanwhile.
bool IsUsable(const KernelNeighbour& neighbour);

// True when the kernel is to be asked to resolve: it has no entry, gave up, or will not look again by itself because
// none of its own packets go there (ours do not pass it).
bool NeedsAsking(const KernelNeighbour* neighbour);

// The port whose exception interface the route leaves by; null: none of ours.
const HostPort* PortOfRoute(const std::vector<HostPort>& ports, const KernelRoute& route);

// The neighbour whose MAC address is needed for `address`; nothing when a configured gateway_mac stands for it or there
// is no way at all.
std::optional<net::IpAddress> NeighbourNeeded(const std::vector<HostPort>& ports, const KernelRoute& route);

// `neighbour`: the entry of NeighbourNeeded, null if there is none.
//   route by one of our ports, on link              -> the neighbour's MAC address
//   route by one of our ports, by gateway           -> the port's gateway_mac, else the gateway's entry
//   no such route, but a port has a gateway_mac     -> that: the port whose network has the address, else the first
//   otherwise                                       -> no next hop (invalid port)
fwd::NextHop ChooseNextHop(const std::vector<HostPort>& ports, const net::IpAddress& address, const KernelRoute& route,
                           const KernelNeighbour* neighbour);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_NEXT_HOP_RULES_H_
