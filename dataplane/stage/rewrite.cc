#include <rte_mbuf.h>

#include <cstring>

#include "dataplane/net/headers.h"
#include "dataplane/stage/answer.h"
#include "dataplane/stage/encapsulate.h"
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

void RewritePacket(Packet& packet, const fwd::VipEntry& vip, const fwd::BackendEntry& backend, StageEnv& env) {
  if (!backend.resolved) {
    Drop(packet, DropReason::kNextHopUnresolved);
    return;
  }
  const uint32_t mtu_bytes = env.node->ports[backend.port.index()].mtu_bytes;
  const uint32_t overhead_bytes = EncapsulationBytes(vip.mode, backend.family);
  if (packet.headers.ip_length + overhead_bytes > mtu_bytes) {
    AnswerTooBig(packet, mtu_bytes - overhead_bytes, env);
    return;
  }
  if (vip.mode == fwd::ForwardingMode::kL2) {
    RewriteL2(packet, backend);
  } else if (Encapsulate(packet, vip, backend, env)) {
    Send(packet, backend);
  }
}

}  // namespace

void Rewrite(Burst& burst, StageEnv& env) {
  const std::vector<fwd::VipEntry>& vips = *env.state->vips;
  const fwd::BackendTable& backends = *env.state->backends;
  for (Packet& packet : burst) {
    if (packet.fate != Fate::kPending) continue;
    RewritePacket(packet, vips[packet.vip.index()], backends[packet.backend.index()], env);
  }
}

}  // namespace sluice::stage
