#include <rte_mbuf.h>

#include "dataplane/base/prefetch.h"
#include "dataplane/fwd/nat_ladder.h"
#include "dataplane/lb/nat_proxy.h"
#include "dataplane/stage/answer.h"
#include "dataplane/stage/flow_view.h"
#include "dataplane/stage/nat.h"
#include "dataplane/stage/nat_packet.h"
#include "dataplane/stage/nat_tcp.h"

namespace sluice::stage {
namespace {

bool IsTcp(const Packet& packet) { return packet.headers.protocol == net::kProtocolTcp; }

// The packet says something about the connection itself.
bool IsOfFlow(const Packet& packet) { return !packet.related && packet.part != FragmentPart::kLater; }

void SetSession(Packet& packet, const lb::NatSession& session, StageEnv& env) {
  packet.session = env.tables->nat().table().NumberOf(session);
  packet.session_use = session.use;
}

}  // namespace

lb::NatSession* SessionOf(const Packet& packet, StageEnv& env) {
  lb::NatSession& session = env.tables->nat().table().at(packet.session);
  const bool same = session.use == packet.session_use && session.tracking.state != lb::NatState::kFree;
  return same ? &session : nullptr;
}

void SelectForNat(Packet& packet, StageEnv& env) {
  fwd::FlowView flow = ViewFlow(packet);
  if (!IsOfFlow(packet)) flow.related = true;
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  if (vip.cookies) ViewTimestamps(packet, flow);
  // The flow's packets come where RSS brings them, but errors about it and fragments may come to any worker.
  const bool astray = packet.related || packet.part != FragmentPart::kWhole;
  if (astray && vip.mode == fwd::ForwardingMode::kFullNat && env.worker_count > 1 &&
      !fwd::HasSession(flow, *env.tables) && AskNextWorker(packet, env.worker, env.worker_count)) {
    return;
  }
  const lb::NatSegment segment = IsTcp(packet) && IsOfFlow(packet) ? ReadSegment(packet) : lb::NatSegment();
  const fwd::NatSelection selected = fwd::SelectNat(*env.state, flow, segment, env.now_s, *env.tables, *env.counters);
  packet.rung = selected.selection.rung;
  packet.backend = selected.selection.backend;
  if (!packet.backend.valid()) {
    const bool rest_of_unknown = flow.related && !packet.related && vip.mode == fwd::ForwardingMode::kFullNat;
    AnswerRefusal(packet, selected.selection.refusal,
                  rest_of_unknown ? DropReason::kNatNoSession : selected.selection.reason, env);
    return;
  }
  if (selected.session != nullptr) SetSession(packet, *selected.session, env);
  PrefetchLine(&(*env.state->backends)[packet.backend.index()]);
}

void NoteReply(const Packet& packet, lb::NatSession& session, uint32_t now_s) {
  if (!IsOfFlow(packet)) return;
  if (!IsTcp(packet)) {
    lb::NoteBackendDatagram(session.tracking, now_s);
    return;
  }
  lb::NatSegment segment = ReadSegment(packet);
  if (session.tracking.proxy_bytes != 0 && (segment.flags & net::kTcpAck) != 0) {
    // That the backend has the header is noted when the packet is rewritten: those before it in the burst are still to
    // be, and may have come before it had.
    lb::NatTracking then = session.tracking;
    segment.acknowledgement = lb::UnshiftAcknowledgement(then, then.proxy_bytes, segment.acknowledgement);
  }
  lb::NoteBackendSegment(session.tracking, segment, now_s);
}

void SelectReply(Packet& packet, StageEnv& env) {
  if (packet.direction != Direction::kToClient) return;
  // VIPs that can be meant if no session tells.
  const lb::ReturnMatch match = MatchSource(packet, env);
  lb::NatSession* session = fwd::FindReply(*env.state, ReplyTuple(packet), packet.flow_hash,
                                           {match.services, match.count}, env.now_s, *env.tables, *env.counters);
  if (session == nullptr) {
    Drop(packet, DropReason::kNatUnknownReply);
    return;
  }
  packet.vip = session->vip;
  packet.backend = session->backend;
  SetSession(packet, *session, env);
  NoteReply(packet, *session, env.now_s);
}

}  // namespace sluice::stage
