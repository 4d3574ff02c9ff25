#ifndef SLUICE_DATAPLANE_RUNTIME_NETLINK_H_
#define SLUICE_DATAPLANE_RUNTIME_NETLINK_H_

#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "dataplane/net/address.h"

// libnl's objects with their owners, and the way between its addresses and ours.
namespace sluice::runtime {

template <auto Free>
struct NlDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using NlSocket = std::unique_ptr<nl_sock, NlDeleter<nl_socket_free>>;
using NlCache = std::unique_ptr<nl_cache, NlDeleter<nl_cache_free>>;
using NlAddr = std::unique_ptr<nl_addr, NlDeleter<nl_addr_put>>;
using NlLink = std::unique_ptr<rtnl_link, NlDeleter<rtnl_link_put>>;
using NlIfAddr = std::unique_ptr<rtnl_addr, NlDeleter<rtnl_addr_put>>;
using NlRoute = std::unique_ptr<rtnl_route, NlDeleter<rtnl_route_put>>;
using NlNeighbour = std::unique_ptr<rtnl_neigh, NlDeleter<rtnl_neigh_put>>;

// A socket to the kernel's routing tables, in this thread's network namespace.
absl::StatusOr<NlSocket> ConnectNetlink();

NlAddr ToNlAddr(const net::IpAddress& address);
NlAddr ToNlAddr(const net::IpPrefix& prefix);
NlAddr ToNlAddr(const net::MacAddress& mac);
// Nothing for null and for other families.
std::optional<net::IpAddress> ToIpAddress(const nl_addr* address);
std::optional<net::MacAddress> ToMacAddress(const nl_addr* address);

// AF_INET or AF_INET6
int AddressFamily(const net::IpAddress& address);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_NETLINK_H_
