#include <rte_mbuf.h>

#include <cstring>

#include "dataplane/net/headers.h"
#include "dataplane/stage/answer.h"
#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/nat.h"
#include "dataplane/stage/pieces.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {
namespace {

// Sends the frame, whose IP part is ready, to the backend's next hop.
void Send(Packet& packet, const fwd::BackendEntry& backend) {
  auto* frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  std::memcpy(frame, &backend.ether, offsetof(net::EtherHeader, ether_type));
  packet.out_port = backend.port;
  packet.fate = Fate::kForwarded;
}

// L2: only the MAC addresses change; VLAN tags and IP header, TTL included, stay as they came, as if the client's
// packet had been switched to the backend.
void RewriteL2(Packet& packet, const fwd::BackendEntry& backend) {
  if (backend.family != packet.headers.family) {
    Drop(packet, DropReason::kFamilyMismatch);
  } else if (!backend.on_link) {
    Drop(packet, DropReason::kBackendNotOnLink);
  } else {
    Send(packet, backend);
  }
}

void RewriteForMode(Packet& packet, const fwd::VipEntry& vip, const fwd::BackendEntry& backend, StageEnv& env) {
  if (vip.mode == fwd::ForwardingMode::kL2) {
    RewriteL2(packet, backend);
  } else if (Encapsulate(packet, vip, backend, env)) {
    Send(packet, backend);
  }
}

// The station that would get the packet has just sent it: it does not take the VIP for its own and routes the packet
// back, and would again. Behind a gateway one cannot tell, there the packet's TTL ends it.
bool CameFromBackend(const Packet& packet, const fwd::BackendEntry& backend) {
  const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  return backend.on_link && std::memcmp(frame + offsetof(net::EtherHeader, source), backend.ether.destination, 6) == 0;
}

inline void RewritePacket(Packet& packet, const fwd::VipEntry& vip, const fwd::BackendEntry& backend, StageEnv& env) {
  if (!backend.resolved) {
    Drop(packet, DropReason::kNextHopUnresolved);
    return;
  }
  if (CameFromBackend(packet, backend)) {
    Drop(packet, DropReason::kTunnelLoop);
    return;
  }
  const uint32_t mtu_bytes = env.node->ports[backend.port.index()].mtu_bytes;
  const uint32_t overhead_bytes = MostEncapsulationBytes(vip, backend.family);
  if (packet.headers.ip_length + overhead_bytes > mtu_bytes) {
    // The inner packet is cut rather than the outer one, so that the backend has nothing to put together before it can
    // take it out of the tunnel (RFC 4459, section 3.1).
    if (MayBeFragmented(packet)) {
      SendInPieces(packet, PlanByMtu(packet, mtu_bytes - overhead_bytes), env,
                   [&](Packet& piece) { RewriteForMode(piece, vip, backend, env); });
    } else {
      AnswerTooBig(packet, mtu_bytes - overhead_bytes, env);
    }
    return;
  }
  RewriteForMode(packet, vip, backend, env);
}

}  // namespace

void Rewrite(Burst& burst, StageEnv& env) {
  const std::vector<fwd::VipEntry>& vips = *env.state->vips;
  const fwd::BackendTable& backends = *env.state->backends;
  for (Packet& packet : burst) {
    if (packet.fate != Fate::kPending) continue;
    const fwd::VipEntry& vip = vips[packet.vip.index()];
    if (packet.direction != Direction::kToBackend) {
      RewriteToClient(packet, env);
    } else if (fwd::IsNat(vip.mode)) {
      RewriteToBackend(packet, env);
    } else {
      RewritePacket(packet, vip, backends[packet.backend.index()], env);
    }
  }
}

}  // namespace sluice::stage
