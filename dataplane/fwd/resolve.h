#ifndef SLUICE_DATAPLANE_FWD_RESOLVE_H_
#define SLUICE_DATAPLANE_FWD_RESOLVE_H_

#include <functional>
#include <memory>

#include "dataplane/fwd/forwarding_state.h"

namespace sluice::fwd {

// The next hop for a backend's address; called once for each backend.
using NextHopLookup = std::function<NextHop(const net::IpAddress&)>;

// The state with its `backends` built from `backend_infos` and the next hops of now, and with `client_routes` unless
// they are null; everything else is shared with `state`. Control threads.
std::shared_ptr<const ForwardingState> ResolveNextHops(const ForwardingState& state, const NextHopLookup& lookup,
                                                       std::shared_ptr<const ClientRoutes> client_routes = nullptr);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_RESOLVE_H_
