#ifndef SLUICE_DATAPLANE_STAGE_TUNNEL_SOURCE_H_
#define SLUICE_DATAPLANE_STAGE_TUNNEL_SOURCE_H_

#include <optional>

#include "dataplane/net/address.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// The prefix that tunnels come from, as the packet path reads it; not enabled without one. Host bits of the prefix's
// address are ignored.
TunnelSource ToTunnelSource(const std::optional<net::IpPrefix>& prefix);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_TUNNEL_SOURCE_H_
