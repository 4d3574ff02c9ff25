#ifndef SLUICE_DATAPLANE_STAGE_TUNNEL_SOURCE_H_
#define SLUICE_DATAPLANE_STAGE_TUNNEL_SOURCE_H_

#include <optional>

#include "dataplane/net/address.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// The prefix that tunnels come from, as the packet path reads it; not enabled without one. Host bits of the prefix's
// address are ignored.
TunnelSource ToTunnelSource(const std::optional<net::IpPrefix>& prefix);

// Fills in own_sources_v4 and _v6 from the ports' addresses.
void CollectOwnSources(NodeTraits& node);

// True for a packet in a tunnel (or UDP, which may be one) that one of our own addresses sent: it has come back to us.
// If its destination is taken for a VIP's, it would go into a tunnel once more, and so on without end. `packet` is IP,
// its client_offset is set.
bool IsOwnTunnel(const Packet& packet, const NodeTraits& node);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_TUNNEL_SOURCE_H_
