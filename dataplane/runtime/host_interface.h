#ifndef SLUICE_DATAPLANE_RUNTIME_HOST_INTERFACE_H_
#define SLUICE_DATAPLANE_RUNTIME_HOST_INTERFACE_H_

#include <netlink/socket.h>

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/net/address.h"
#include "dataplane/runtime/options.h"

namespace sluice::runtime {

// Makes the exception interface what the port is to the host's kernel: the port's MAC address and MTU, its addresses,
// up, and default routes by its gateways. `local_addresses` are what full NAT sends from and this port has: set as
// single addresses, so that the kernel answers ARP and neighbour solicitations for them. All of it goes when the
// interface goes.
//
// Duplicate address detection is off on it: the port's own neighbour solicitations could come back by way of the
// interface below the port (AF_PACKET), which has the same MAC address and, from it, the same link-local address; the
// kernel would then give up its own addresses. For the same reason the link-local address is set here.
absl::Status ConfigureHostInterface(nl_sock* socket, const PortOptions& port,
                                    const std::vector<net::IpAddress>& local_addresses, unsigned index,
                                    const net::MacAddress& mac);

// Gives the interface its port's MAC address back; true if it had another. systemd-udevd may come after the function
// above and set one of its own; the host could then not be reached by the port.
absl::StatusOr<bool> RestoreMacAddress(nl_sock* socket, int index, const net::MacAddress& mac);

// Which exception port has which of full NAT's local addresses, by port: the one in whose network the address is, else
// the first (a route must then lead there). Those that are a port's own address already are left out.
std::vector<std::vector<net::IpAddress>> LocalAddressesOfPorts(const DataplaneOptions& options);

// fe80::/64 with the modified EUI-64 of the MAC address (RFC 4291, appendix A).
net::IpPrefix LinkLocalOf(const net::MacAddress& mac);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_HOST_INTERFACE_H_
