#include <rte_mbuf.h>

#include "dataplane/base/prefetch.h"
#include "dataplane/fwd/copies.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/stage/answer.h"
#include "dataplane/stage/flow_view.h"
#include "dataplane/stage/nat.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {
namespace {

// The network brings ICMP errors and fragments to other workers than the rest of their flow. Only the worker that has
// the flow knows where it went; when none has, it is new, and any worker's choice is as good.
bool IsElsewhere(const Packet& packet, const fwd::FlowView& flow, StageEnv& env) {
  if (env.worker_count == 1 || (packet.part == FragmentPart::kWhole && !packet.related)) return false;
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  return (vip.tracked || vip.slots) && !fwd::TrackedBackend(*env.state, flow, *env.tables).valid();
}

// The backend's line, what is counted of it, and the line in front of the frame, where a tunnel's headers go: the
// buffer comes from a device, so none of its lines is in this core's cache, and a store to a missing line would hold up
// those behind it.
void PrefetchForRewrite(const Packet& packet, const StageEnv& env) {
  PrefetchLine(&(*env.state->backends)[packet.backend.index()]);
  PrefetchLine(&env.counters->backends[packet.backend.index()]);
  PrefetchLine(rte_pktmbuf_mtod(packet.mbuf, const uint8_t*) - 1);
}

}  // namespace

void SelectBackendFor(Packet& packet, StageEnv& env) {
  if (packet.direction != Direction::kToBackend) {
    SelectReply(packet, env);
    return;
  }
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  if (fwd::IsNat(vip.mode)) {
    SelectForNat(packet, env);
    return;
  }
  fwd::FlowView flow = ViewFlow(packet);
  if (vip.cookies) {
    if (vip.quic) {
      ViewQuicId(packet, flow);
    } else {
      ViewTimestamps(packet, flow);
    }
  }
  if ((!flow.has_echo || vip.slots) && IsElsewhere(packet, flow, env) &&
      AskNextWorker(packet, env.worker, env.worker_count)) {
    return;
  }
  const fwd::Selection selection = fwd::SelectBackend(*env.state, flow, env.now_s, *env.tables, *env.counters);
  packet.rung = selection.rung;
  packet.backend = selection.backend;
  if (!selection.backend.valid()) {
    AnswerRefusal(packet, selection.refusal, selection.reason, env);
    return;
  }
  if (selection.syn_echo != 0) PutSynEcho(packet, selection.syn_echo);
  packet.to_all_backends = fwd::GoesToAllBackends(vip, flow, selection.rung);
  PrefetchForRewrite(packet, env);
}

void SelectBackends(Burst& burst, StageEnv& env) {
  for (Packet& packet : burst) {
    if (packet.fate == Fate::kPending) SelectBackendFor(packet, env);
  }
}

}  // namespace sluice::stage
