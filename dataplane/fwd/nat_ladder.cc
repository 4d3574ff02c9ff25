#include "dataplane/fwd/nat_ladder.h"

#include "dataplane/fwd/cookies.h"
#include "dataplane/fwd/policies.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/proxy_v2.h"

namespace sluice::fwd {
namespace {

bool IsTcp(const FlowView& flow) { return flow.protocol == net::kProtocolTcp; }

bool IsPlainSyn(const lb::NatSegment& segment) {
  return (segment.flags & (net::kTcpSyn | net::kTcpAck | net::kTcpRst | net::kTcpFin)) == net::kTcpSyn;
}

lb::NatTuple TupleOf(const FlowView& flow) {
  return {.source = lb::LoadNatAddress(flow.family, flow.client),
          .destination = lb::LoadNatAddress(flow.family, flow.destination),
          .source_port = flow.client_port,
          .destination_port = flow.destination_port,
          .protocol = flow.protocol,
          .family = flow.family};
}

// One packet of a flow that is translated with a session.
class NatLadder {
 public:
  NatLadder(const ForwardingState& state, const FlowView& flow, const lb::NatSegment& segment, uint32_t now_s,
            FlowTables& tables, WorkerCounters& counters)
      : state_(state),
        flow_(flow),
        segment_(segment),
        now_s_(now_s),
        tables_(tables),
        nat_(tables.nat()),
        counters_(counters),
        vip_((*state.vips)[flow.vip.index()]),
        tuple_(TupleOf(flow)) {}

  NatSelection Select() {
    lb::NatSession* session = nat_.table().FindByClient(tuple_, flow_.vip, flow_.hash);
    if (session != nullptr && IsOfAnother(*session)) {
      End(*session);
      session = nullptr;
    }
    if (session != nullptr) {
      if (!flow_.related && LeavesDown(*session)) {
        if (IsTcp(flow_) && !IsPlainSyn(segment_)) return Reset(*session);
      } else if (Continues(*session)) {
        return FromSession(*session);
      }
      if (!flow_.related) End(*session);
    }
    const bool full = vip_.mode == ForwardingMode::kFullNat;
    if (!full && (flow_.related || !vip_.nat_sessions)) return Stateless();
    NatSelection selected;
    if (flow_.related) {
      selected.selection.reason = DropReason::kVipIcmp;
    } else {
      selected = full ? OpenFull() : OpenDestination();
    }
    counters_.rungs[static_cast<size_t>(selected.selection.rung)].Increment();
    return selected;
  }

  NatSelection Stateless() {
    return {.selection = SelectBackend(state_, flow_, now_s_, tables_, counters_), .session = nullptr};
  }

 private:
  // True when the packet's cookie names another backend than the session has: the session is left of a connection that
  // ended elsewhere, and the tuple's next one began there.
  bool IsOfAnother(const lb::NatSession& session) const {
    if (!vip_.cookies || !flow_.has_echo || flow_.related) return false;
    if (!session.stamped || nat_.StampsOf(session).IsOwn(flow_.echo)) return false;
    const BackendId named = CookieBackend(state_, flow_);
    return named.valid() && named != session.backend;
  }

  // As with the connection table: a session whose time is over is as good as swept, unless the connection shows life.
  bool Continues(const lb::NatSession& session) const {
    if (!NatFlows::IsCurrent(session, state_)) return false;
    if (!IsTcp(flow_) || flow_.related || !IsPlainSyn(segment_)) return true;
    return !lb::BeginsAnew(session.tracking, segment_) && !NatFlows::IsOver(session, state_, now_s_);
  }

  // As in the ladder of the other modes. A session's TCP connection cannot go on with another backend, so that it is
  // reset whether it should have got one or not.
  bool LeavesDown(const lb::NatSession& session) const {
    if (!NatFlows::IsCurrent(session, state_)) return false;
    const BackendEntry& backend = (*state_.backends)[session.backend.index()];
    if (backend.state != BackendState::kDown) return false;
    if (!IsTcp(flow_)) return !backend.keeps_flows();
    if (IsPlainSyn(segment_)) return !session.tracking.confirmed || !backend.keeps_flows();
    return !backend.keeps_flows() && (segment_.flags & net::kTcpRst) == 0;
  }

  NatSelection Reset(lb::NatSession& session) {
    NatSelection reset = Refuse(DropReason::kNoBackend);
    reset.selection.refusal = Refusal::kReset;
    counters_.rungs[static_cast<size_t>(Rung::kConnectionTable)].Increment();
    nat_.End(session, counters_);
    return reset;
  }

  NatSelection FromSession(lb::NatSession& session) {
    if (!flow_.related) Note(session);
    counters_.rungs[static_cast<size_t>(Rung::kConnectionTable)].Increment();
    return {.selection = {.backend = session.backend, .rung = Rung::kConnectionTable}, .session = &session};
  }

  void Note(lb::NatSession& session) const {
    if (IsTcp(flow_)) {
      lb::NoteClientSegment(session.tracking, segment_, now_s_);
    } else {
      lb::NoteClientDatagram(session.tracking, now_s_);
    }
  }

  void End(lb::NatSession& session) {
    if (!NatFlows::IsCurrent(session, state_) || LeavesDown(session)) counters_.rescheduled.Increment();
    counters_.table_nat.replaced.Increment();
    nat_.End(session, counters_);
  }

  NatSelection OpenFull() {
    if (IsTcp(flow_) && !IsPlainSyn(segment_)) {
      if ((segment_.flags & (net::kTcpSyn | net::kTcpRst)) == 0) {
        counters_.unprotected.no_session.Increment();
        counters_.vips[flow_.vip.index()].unprotected.Increment();
      }
      return Refuse(DropReason::kNatNoSession);
    }
    const BackendId backend = PlaceFlow(state_, flow_, now_s_, tables_, counters_);
    if (!backend.valid()) return {.selection = NoBackendFor(vip_), .session = nullptr};
    return Begin(backend, nat_.OpenFull(state_, OpeningFor(backend), now_s_, counters_));
  }

  NatSelection OpenDestination() {
    BackendId backend = TrackedBackend(state_, flow_, tables_);
    if (backend.valid() && !(*state_.backends)[backend.index()].keeps_flows()) {
      if (IsResetByDown((*state_.backends)[backend.index()], flow_.protocol, segment_.flags)) return Stateless();
      backend = BackendId();
    }
    // What the connection table knows is older than the VIP's cookies.
    const bool has_cookies = vip_.cookies && !backend.valid();
    const bool claims = has_cookies && flow_.has_echo;
    BackendId named = claims ? CookieBackend(state_, flow_) : BackendId();
    if (named.valid() && !(*state_.backends)[named.index()].keeps_flows()) {
      if (IsResetByDown((*state_.backends)[named.index()], flow_.protocol, segment_.flags)) return Stateless();
      named = BackendId();
      counters_.rescheduled.Increment();
    } else if (claims && !named.valid()) {
      counters_.cookies_refused.Increment();
    }
    if (named.valid()) backend = named;
    if (!backend.valid()) backend = PlaceFlow(state_, flow_, now_s_, tables_, counters_);
    if (!backend.valid()) return {.selection = NoBackendFor(vip_), .session = nullptr};
    if ((*state_.backends)[backend.index()].family != flow_.family) return Refuse(DropReason::kFamilyMismatch);
    // The last word of a connection that nobody knows needs no session for replies that will not come.
    if (IsTcp(flow_) && (segment_.flags & net::kTcpRst) != 0) {
      const Rung rung = named.valid() ? Rung::kCookie : Rung::kSchedulerNoEntry;
      return {.selection = {.backend = backend, .rung = rung}, .session = nullptr};
    }
    NatSelection begun = Begin(backend, nat_.OpenDestination(state_, OpeningFor(backend), now_s_, counters_));
    if (named.valid()) {
      // Who can tell by its packets needs no memory to get there.
      if (begun.selection.reason == DropReason::kNatTableFull && begun.session == nullptr) {
        return {.selection = {.backend = backend, .rung = Rung::kCookie}, .session = nullptr};
      }
      if (begun.session == nullptr) return begun;
      begun.selection.rung = Rung::kCookie;
      begun.session->stamped = true;
      nat_.StampsOf(*begun.session).Begin(vip_.cookie_layout, lb::CookieOf(vip_.cookie_layout, flow_.echo));
    } else if (begun.session != nullptr && has_cookies && IsTcp(flow_) && IsPlainSyn(segment_)) {
      begun.session->stamped = BeginStamps(state_, vip_, tuple_.ToFlowTuple(), backend, nat_.StampsOf(*begun.session));
    }
    return begun;
  }

  NatFlows::Opening OpeningFor(BackendId backend) const {
    const Be16 port = (*state_.backends)[backend.index()].nat_port;
    return {.from_client = tuple_,
            .client_hash = flow_.hash,
            .vip = flow_.vip,
            .backend = backend,
            .backend_port = port == Be16() ? flow_.destination_port : port};
  }

  NatSelection Begin(BackendId backend, const NatFlows::Opened& opened) const {
    if (opened.session == nullptr) return Refuse(opened.reason);
    lb::NatSession& session = *opened.session;
    if (IsTcp(flow_)) {
      lb::BeginTcp(session.tracking, segment_, now_s_);
    } else {
      lb::BeginUdp(session.tracking, now_s_);
    }
    if (vip_.proxy_protocol && session.source_translated && IsTcp(flow_)) {
      session.tracking.proxy_bytes = static_cast<uint8_t>(net::ProxyV2Size(flow_.family));
    }
    return {.selection = {.backend = backend, .rung = Rung::kScheduler}, .session = &session};
  }

  static NatSelection Refuse(DropReason reason) {
    NatSelection refused;
    refused.selection.reason = reason;
    return refused;
  }

  const ForwardingState& state_;
  const FlowView& flow_;
  const lb::NatSegment& segment_;
  const uint32_t now_s_;
  FlowTables& tables_;
  NatFlows& nat_;
  WorkerCounters& counters_;
  const VipEntry& vip_;
  const lb::NatTuple tuple_;
};

// True when packets of the backend come from the reply's source.
bool SendsFrom(const BackendEntry& backend, Be16 service_port, const lb::NatTuple& reply) {
  const Be16 port = backend.nat_port == Be16() ? service_port : backend.nat_port;
  return backend.family == reply.family && port == reply.source_port &&
         lb::LoadNatAddress(backend.family, backend.address()) == reply.source;
}

// The flow of a reply as one of `service`; whose backend's it is stays open.
NatFlows::Opening OpeningOf(const ForwardingState& state, const lb::NatTuple& reply, const lb::ReturnService& service) {
  NatFlows::Opening opening;
  opening.from_client = {.source = reply.destination,
                         .destination = service.address,
                         .source_port = reply.destination_port,
                         .destination_port = service.port == Be16() ? reply.source_port : service.port,
                         .protocol = reply.protocol,
                         .family = reply.family};
  const lb::FlowTuple tuple = opening.from_client.ToFlowTuple();
  lb::FlowHashes(*state.keys, &tuple, 1, &opening.client_hash);
  opening.vip = service.vip;
  opening.backend_port = reply.source_port;
  return opening;
}

// Whom the connection table knows the flow to have, if that is who sent the reply.
BackendId TrackedSender(const ForwardingState& state, const NatFlows::Opening& opening, const lb::NatTuple& reply,
                        FlowTables& tables) {
  const lb::FlowTuple tuple = opening.from_client.ToFlowTuple();
  const FlowView flow = {.client = tuple.source,
                         .destination = tuple.destination,
                         .family = reply.family,
                         .protocol = reply.protocol,
                         .related = true,
                         .client_port = tuple.source_port,
                         .destination_port = tuple.destination_port,
                         .vip = opening.vip,
                         .hash = opening.client_hash};
  const BackendId backend = TrackedBackend(state, flow, tables);
  const bool sends = backend.valid() && SendsFrom((*state.backends)[backend.index()], tuple.destination_port, reply);
  return sends ? backend : BackendId();
}

// Makes the session of a flow of which a reply came.
lb::NatSession* OpenForReply(const ForwardingState& state, const lb::NatTuple& reply, const NatFlows::Opening& opening,
                             uint32_t now_s, FlowTables& tables, WorkerCounters& counters) {
  lb::NatSession* session = tables.nat().OpenDestination(state, opening, now_s, counters).session;
  if (session == nullptr) return nullptr;
  if (reply.protocol == net::kProtocolTcp) {
    lb::BeginTcp(session->tracking, {.flags = net::kTcpAck}, now_s);
  } else {
    lb::BeginUdp(session->tracking, now_s);
  }
  return session;
}

// Takes up the flow of a reply as one of `service`, if the connection table knows it as such.
lb::NatSession* AdoptReply(const ForwardingState& state, const lb::NatTuple& reply, const lb::ReturnService& service,
                           uint32_t now_s, FlowTables& tables, WorkerCounters& counters) {
  if (service.family != reply.family) return nullptr;
  NatFlows::Opening opening = OpeningOf(state, reply, service);
  opening.backend = TrackedSender(state, opening, reply, tables);
  return opening.backend.valid() ? OpenForReply(state, reply, opening, now_s, tables, counters) : nullptr;
}

// Which of the pool's backends sent the reply, of those that cookies can name.
BackendId SenderOf(const ForwardingState& state, const VipEntry& vip, const NatFlows::Opening& opening,
                   const lb::NatTuple& reply) {
  for (const uint16_t value : state.cookie_ids[vip.pool.index()]->backends) {
    const BackendId backend(value);
    if (!backend.valid()) continue;
    if (SendsFrom((*state.backends)[backend.index()], opening.from_client.destination_port, reply)) return backend;
  }
  return BackendId();
}

}  // namespace

lb::NatStamps* AdoptStamps(const ForwardingState& state, const lb::NatTuple& reply, uint8_t tcp_flags,
                           const lb::ReturnService& service, uint32_t now_s, FlowTables& tables,
                           WorkerCounters& counters, lb::NatStamps& once) {
  const VipEntry& vip = (*state.vips)[service.vip.index()];
  // The last word of a connection that nobody knows is to be remembered by nobody.
  if (service.family != reply.family || (tcp_flags & net::kTcpRst) != 0) return nullptr;
  NatFlows::Opening opening = OpeningOf(state, reply, service);
  if (TrackedSender(state, opening, reply, tables).valid()) return nullptr;
  opening.backend = SenderOf(state, vip, opening, reply);
  if (!opening.backend.valid()) return nullptr;
  lb::NatSession* session = OpenForReply(state, reply, opening, now_s, tables, counters);
  lb::NatStamps& stamps = session != nullptr ? tables.nat().StampsOf(*session) : once;
  const bool stamped = BeginStamps(state, vip, opening.from_client.ToFlowTuple(), opening.backend, stamps);
  if (session != nullptr) session->stamped = stamped;
  return stamped ? &stamps : nullptr;
}

bool HasSession(const FlowView& flow, FlowTables& tables) {
  return tables.nat().table().FindByClient(TupleOf(flow), flow.vip, flow.hash) != nullptr;
}

lb::NatSession* FindReply(const ForwardingState& state, const lb::NatTuple& reply, uint64_t hash,
                          std::span<const lb::ReturnService> services, uint32_t now_s, FlowTables& tables,
                          WorkerCounters& counters) {
  lb::NatSession* session = tables.nat().FindReply(state, reply, hash, counters);
  for (const lb::ReturnService& service : services) {
    if (session != nullptr) break;
    session = AdoptReply(state, reply, service, now_s, tables, counters);
  }
  return session;
}

NatSelection SelectNat(const ForwardingState& state, const FlowView& flow, const lb::NatSegment& segment,
                       uint32_t now_s, FlowTables& tables, WorkerCounters& counters) {
  const VipEntry& vip = (*state.vips)[flow.vip.index()];
  const bool stateless =
      vip.mode == ForwardingMode::kNat && !vip.nat_sessions && tables.nat().destination_sessions() == 0;
  if (stateless) return {.selection = SelectBackend(state, flow, now_s, tables, counters), .session = nullptr};
  return NatLadder(state, flow, segment, now_s, tables, counters).Select();
}

}  // namespace sluice::fwd
