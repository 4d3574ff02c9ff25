#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "dataplane/fwd/copies.h"
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

// False: it was dropped.
inline bool MayGoTo(Packet& packet, const fwd::BackendEntry& backend) {
  if (!backend.resolved) {
    Drop(packet, DropReason::kNextHopUnresolved);
  } else if (CameFromBackend(packet, backend)) {
    Drop(packet, DropReason::kTunnelLoop);
  } else {
    return true;
  }
  return false;
}

inline void RewritePacket(Packet& packet, const fwd::VipEntry& vip, const fwd::BackendEntry& backend, StageEnv& env) {
  if (!MayGoTo(packet, backend)) return;
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

// A copy is neither cut nor answered: its sender gets to know of one packet.
void RewriteCopy(Packet& copy, const fwd::VipEntry& vip, const fwd::BackendEntry& backend, StageEnv& env) {
  if (!MayGoTo(copy, backend)) return;
  const uint32_t bytes = uint32_t{copy.headers.ip_length} + MostEncapsulationBytes(vip, backend.family);
  if (bytes > env.node->ports[backend.port.index()].mtu_bytes) {
    Drop(copy, DropReason::kTooBig);
  } else {
    RewriteForMode(copy, vip, backend, env);
  }
}

// Whether there is enough of everything for so many copies. Resets, of which there are many and which matter less, must
// leave half of the budget to ICMP errors.
bool TakeBudgetForCopies(const Packet& packet, size_t count, StageEnv& env) {
  const uint32_t per_s = env.node->copies_per_s;
  return count <= env.extras.room_for_copies() &&
         env.copies.Take(env.now_s, packet.related ? per_s : per_s / 2, static_cast<uint32_t>(count));
}

// Sends a copy of the packet, which has not been rewritten, to each other backend of the VIP.
void SendCopies(const Packet& packet, const fwd::VipEntry& vip, StageEnv& env) {
  const std::span<const BackendId> backends = fwd::BackendsOf(*env.state, vip);
  const fwd::BackendEntry* const entries = env.state->backends->data();
  const auto gets_copy = [&](BackendId id) { return id != packet.backend && entries[id.index()].keeps_flows(); };
  const auto count = static_cast<size_t>(std::count_if(backends.begin(), backends.end(), gets_copy));
  if (count == 0) return;
  fwd::CopyCounters& counters = env.counters->copies;
  if (!TakeBudgetForCopies(packet, count, env)) {
    counters.limited.Increment();
    return;
  }
  counters.packets.Increment();
  for (const BackendId id : backends) {
    if (!gets_copy(id)) continue;
    Packet copy = packet;
    copy.mbuf = rte_pktmbuf_copy(packet.mbuf, packet.mbuf->pool, 0, UINT32_MAX);
    if (copy.mbuf == nullptr) {
      counters.no_buffer.Increment();
      continue;
    }
    counters.copies.Increment();
    copy.backend = id;
    copy.rung = fwd::Rung::kNone;  // so that it names nobody beside
    RewriteCopy(copy, vip, entries[id.index()], env);
    if (copy.fate == Fate::kForwarded) {
      env.extras.AddCopy(&packet, copy.out_port, copy.mbuf);
      continue;
    }
    env.counters->originated.Increment();
    env.counters->dropped[static_cast<size_t>(copy.reason)].Increment();
    rte_pktmbuf_free(copy.mbuf);
  }
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
      if (packet.to_all_backends) [[unlikely]]
        SendCopies(packet, vip, env);
      RewritePacket(packet, vip, backends[packet.backend.index()], env);
    }
  }
}

}  // namespace sluice::stage
