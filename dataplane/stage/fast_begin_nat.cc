#include "dataplane/stage/fast_begin_nat.h"

#include <rte_mbuf.h>

#include "dataplane/base/prefetch.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {

void NatBeginnings::Add(const Packet& packet) {
  if (packet.direction != Direction::kToBackend) return;
  const fwd::FastPathVip& vip = (*env_.state->fast_path_vips)[packet.vip.index()];
  // Where another policy than the pool's table has a say, its choice is not known yet.
  if (vip.slots == nullptr) return;
  const bool full = vip.mode == fwd::ForwardingMode::kFullNat;
  if (full && packet.headers.protocol == net::kProtocolTcp && (packet.headers.tcp_flags & net::kTcpSyn) == 0) return;
  packets_[count_] = &packet;
  slots_[count_] = SlotOf(vip, packet.flow_hash);
  PrefetchLine(slots_[count_]);
  ++count_;
  // What has no session may have been without one so far.
  if (!full) PrefetchConnection(packet, env_);
}

void NatBeginnings::Prefetch() {
  if (count_ == 0) return;
  const fwd::BackendEntry* const backends = env_.state->backends->data();
  for (size_t i = 0; i < count_; ++i) {
    PrefetchLine(&backends[*slots_[i]]);
    PrefetchLine(&env_.counters->backends[*slots_[i]]);
  }
  std::array<lb::FlowTuple, kBurstSize> replies;
  size_t found = 0;
  for (size_t i = 0; i < count_; ++i) {
    if (ReplyTo(*packets_[i], backends[*slots_[i]], replies[found])) ++found;
  }
  std::array<uint64_t, kBurstSize> hashes;
  lb::FlowHashes(*env_.state->keys, replies.data(), found, hashes.data());
  for (size_t i = 0; i < found; ++i) env_.tables->nat().table().Prefetch(hashes[i]);
}

bool NatBeginnings::ReplyTo(const Packet& packet, const fwd::BackendEntry& backend, lb::FlowTuple& reply) const {
  const net::ParsedHeaders& headers = packet.headers;
  reply = {.source = backend.address(),
           .destination = FrameOf(packet) + packet.client_offset,
           .source_port = backend.nat_port == Be16() ? headers.destination_port : backend.nat_port,
           .destination_port = headers.source_port,
           .protocol = headers.protocol,
           .family = backend.family};
  if ((*env_.state->fast_path_vips)[packet.vip.index()].mode == fwd::ForwardingMode::kFullNat) {
    const fwd::NatFlows::LocalEnd end = env_.tables->nat().FirstEnd(backend.family, packet.flow_hash);
    reply.destination = end.address;
    reply.destination_port = end.port;
    return end.address != nullptr;
  }
  return backend.family == headers.family;
}

}  // namespace sluice::stage
