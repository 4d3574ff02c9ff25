#ifndef SLUICE_DATAPLANE_STAGE_FAST_SEND_RUN_H_
#define SLUICE_DATAPLANE_STAGE_FAST_SEND_RUN_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Packets that leave by one port for stations (L2), or in tunnels of IP in IP of one family, as nearly all of a burst
// do: what depends on these is asked once a run.
namespace sluice::stage {

// In 64 bits: g++ would take numbers of 32 to vector registers and back for their minimum.
constexpr uint64_t Without(uint64_t bytes, uint64_t header) { return bytes - std::min(bytes, header); }

// The frame's first bytes and the backend's line agree: Ethernet header, then outer IP header.
static_assert(offsetof(fwd::BackendEntry, ether) == 0);
static_assert(offsetof(fwd::BackendEntry, outer) == sizeof(net::EtherHeader));

// Whether the backend's own station may have sent the frame, which then has come back: the last four bytes of its
// address are the same. The stages compare all six.
inline bool MayHaveComeFrom(const fwd::BackendEntry& backend, const uint8_t* frame) {
  const auto* const line = reinterpret_cast<const uint8_t*>(&backend);
  return net::Load<uint32_t>(frame + offsetof(net::EtherHeader, source) + 2) ==
         net::Load<uint32_t>(line + offsetof(net::EtherHeader, destination) + 2);
}

// Port and tunnel of the backend's packets, which lie side by side.
inline uint16_t PortAndTunnelOf(const fwd::BackendEntry& backend) {
  return net::Load<uint16_t>(reinterpret_cast<const uint8_t*>(&backend.port));
}

// The longest IP packet that leaves by the port in a tunnel of the family.
inline uint64_t MostBytesInTunnel(const PortTraits& port, net::Family family) {
  return Without(std::min<uint64_t>(port.mtu_bytes, UINT16_MAX), OuterIpBytes(family));
}

// How far a run came: the first packet that does not go the way, and the bytes of the frames before it, as they leave.
struct RunEnd {
  Packet* packet;
  uint64_t bytes;
};

// Sends the packets from `first` on that go as it does, by `mode`, kL2 or kIpip, and by the port of its backend, and
// are of its family. Behind the burst's last there is one more record, which is not Past::kSelection.
RunEnd SendRunBy(fwd::ForwardingMode mode, Packet* first, const fwd::BackendEntry& backend, const StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_SEND_RUN_H_
