#include <rte_mbuf.h>

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
  return (*env.state->vips)[packet.vip.index()].tracked && !fwd::TrackedBackend(*env.state, flow, *env.tables).valid();
}

}  // namespace

void SelectBackends(Burst& burst, StageEnv& env) {
  for (Packet& packet : burst) {
    if (packet.fate != Fate::kPending) continue;
    if (packet.direction != Direction::kToBackend) {
      SelectReply(packet, env);
      continue;
    }
    if (fwd::IsNat((*env.state->vips)[packet.vip.index()].mode)) {
      SelectForNat(packet, env);
      continue;
    }
    const fwd::FlowView flow = ViewFlow(packet);
    if (IsElsewhere(packet, flow, env) && AskNextWorker(packet, env.worker, env.worker_count)) continue;
    const fwd::Selection selection = fwd::SelectBackend(*env.state, flow, env.now_s, *env.tables, *env.counters);
    packet.rung = selection.rung;
    packet.backend = selection.backend;
    if (!selection.backend.valid()) {
      AnswerRefusal(packet, selection.refusal, selection.reason, env);
      continue;
    }
    __builtin_prefetch(&(*env.state->backends)[selection.backend.index()]);
  }
}

}  // namespace sluice::stage
