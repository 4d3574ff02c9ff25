#ifndef SLUICE_DATAPLANE_RUNTIME_KERNEL_ROUTES_H_
#define SLUICE_DATAPLANE_RUNTIME_KERNEL_ROUTES_H_

#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "dataplane/runtime/netlink.h"
#include "dataplane/runtime/route_plan.h"

struct nlmsghdr;

namespace sluice::runtime {

// Gives all routes of the kernel's main and local tables, of both families, to `take`, as the kernel writes them; a
// full table costs no memory here. Routes with nexthop objects have their hops written out by the kernel (but not where
// an operator set net.ipv4.nexthop_compat_mode to 0: they then have none). While routes change, some may be missing:
// the kernel notifies of those changes. Policy rules (ip rule) are not considered. The thread that owns `socket`; waits
// for the kernel.
absl::Status DumpRoutes(nl_sock* socket, const std::function<void(const HostRoute&)>& take);

// One RTM_NEWROUTE message; nothing for routes of other tables, with a type of service, or of no use here.
std::optional<HostRoute> ReadRouteMessage(nlmsghdr* message);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_KERNEL_ROUTES_H_
