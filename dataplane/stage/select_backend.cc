#include <rte_mbuf.h>

#include "dataplane/fwd/ladder.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {

void SelectBackends(Burst& burst, StageEnv& env) {
  for (Packet& packet : burst) {
    if (packet.fate != Fate::kPending) continue;
    const net::ParsedHeaders& h = packet.headers;
    const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
    const fwd::FlowView flow = {.client = frame + packet.client_offset,
                                .destination = frame + packet.vip_offset,
                                .family = h.family,
                                .protocol = h.protocol,
                                .tcp_flags = h.tcp_flags,
                                .related = packet.related,
                                .client_port = h.source_port,
                                .destination_port = h.destination_port,
                                .vip = packet.vip,
                                .hash = packet.flow_hash};
    const fwd::Selection selection = fwd::SelectBackend(*env.state, flow, env.now_s, *env.tables, *env.counters);
    packet.rung = selection.rung;
    packet.backend = selection.backend;
    if (!selection.backend.valid()) {
      Drop(packet, selection.reason);
      continue;
    }
    __builtin_prefetch(&(*env.state->backends)[selection.backend.index()]);
  }
}

}  // namespace sluice::stage
