#ifndef SLUICE_DATAPLANE_STAGE_ENCAPSULATE_H_
#define SLUICE_DATAPLANE_STAGE_ENCAPSULATE_H_

#include <cstdint>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// Bytes that a mode puts in front of the inner packet on the way to a backend of `outer` family; 0 for L2.
uint16_t EncapsulationBytes(fwd::ForwardingMode mode, net::Family outer);

// Puts the outer headers of a tunnel mode between the link-layer header, VLAN tags included, and the inner packet,
// which is not touched; Ethernet padding is cut off. Any mix of inner and outer family. Traffic class and ECN are
// copied (RFC 6040, normal mode); what varies by flow is the UDP source port (GUE), the flow label (IPv6), and the host
// bits of the source where tunnels have a source prefix. False: the packet was dropped.
bool Encapsulate(Packet& packet, const fwd::VipEntry& vip, const fwd::BackendEntry& backend, const StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_ENCAPSULATE_H_
