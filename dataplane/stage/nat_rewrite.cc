#include <rte_mbuf.h>

#include <cstring>

#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/nat_ladder.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/net/bytes.h"
#include "dataplane/stage/flow_view.h"
#include "dataplane/stage/nat.h"
#include "dataplane/stage/nat_carry.h"
#include "dataplane/stage/nat_packet.h"

namespace sluice::stage {
namespace {

// The way to a client; null when there is none now: the packet was dropped.
const fwd::ClientHop* RouteTo(Packet& packet, const uint8_t* client, net::Family family, StageEnv& env) {
  const fwd::ClientRoutes& routes = *env.state->client_routes;
  const fwd::ClientHop* hop = family == net::Family::kIpv4 ? routes.LookupV4(net::Load<Be32>(client), packet.flow_hash)
                                                           : routes.LookupV6(client, packet.flow_hash);
  if (hop == nullptr || hop->local) {
    Drop(packet, DropReason::kNoClientRoute);
    return nullptr;
  }
  if (!hop->resolved) {
    if (hop->on_link && env.unresolved != nullptr) env.unresolved->Report(hop->port, family, client);
    Drop(packet, DropReason::kNextHopUnresolved);
    return nullptr;
  }
  return hop;
}

void SetWay(Leg& leg, const fwd::ClientHop& hop) {
  leg.ether = hop.ether;
  leg.port = hop.port;
}

// From an error about a packet to the backend: when the backend itself sent it, the client is to see the VIP; other
// routers show themselves, as they would without us.
const uint8_t* ErrorSource(const Packet& packet, const uint8_t* vip) {
  const bool v4 = packet.headers.family == net::Family::kIpv4;
  const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  const size_t offset = v4 ? offsetof(net::Ipv4Header, source) : offsetof(net::Ipv6Header, source);
  const uint8_t* source = frame + packet.headers.l3_offset + offset;
  return std::memcmp(source, frame + packet.vip_offset, v4 ? 4 : 16) == 0 ? vip : nullptr;
}

// Keeps the state of a flow alive whose replies need none: its entry in the connection table, or a session that it has
// all the same. Returns that session, or null.
lb::NatSession* RefreshFlow(const Packet& packet, const lb::ReturnService& service, StageEnv& env) {
  const net::ParsedHeaders& h = packet.headers;
  if (packet.related || packet.part == FragmentPart::kLater) return nullptr;
  lb::NatSession* session = nullptr;
  if (env.tables->nat().destination_sessions() != 0) {
    const lb::NatTuple tuple = ReplyTuple(packet);
    const lb::FlowTuple reply = tuple.ToFlowTuple();
    uint64_t hash = 0;
    lb::FlowHashes(*env.state->keys, &reply, 1, &hash);
    session = env.tables->nat().FindReply(*env.state, tuple, hash, *env.counters);
    if (session != nullptr) NoteReply(packet, *session, env.now_s);
  }
  const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  const fwd::FlowView flow = {.client = frame + packet.client_offset,
                              .destination = service.address.data(),
                              .family = h.family,
                              .protocol = h.protocol,
                              .tcp_flags = h.tcp_flags,
                              .related = false,
                              .client_port = h.destination_port,
                              .destination_port = service.port == Be16() ? h.source_port : service.port,
                              .vip = service.vip,
                              .hash = packet.flow_hash};
  fwd::NoteReply(*env.state, flow, frame + packet.vip_offset, env.now_s, *env.tables);
  return session;
}

// The session's stamps, if its timestamps carry a cookie.
lb::NatStamps* StampsOf(const lb::NatSession& session, StageEnv& env) {
  return session.stamped ? &env.tables->nat().StampsOf(session) : nullptr;
}

// A backend's answer whose VIP the return table knows; the client's end stays.
void AnswerByTable(Packet& packet, StageEnv& env) {
  const lb::ReturnMatch match = MatchSource(packet, env);
  const lb::ReturnService& service = match.services[0];
  const fwd::VipEntry& vip = (*env.state->vips)[service.vip.index()];
  lb::NatStamps once;
  lb::NatStamps* stamps = nullptr;
  const bool is_segment =
      packet.headers.protocol == net::kProtocolTcp && !packet.related && packet.part != FragmentPart::kLater;
  if (const lb::NatSession* session = RefreshFlow(packet, service, env)) {
    stamps = StampsOf(*session, env);
  } else if (is_segment && vip.cookies) {
    stamps = fwd::AdoptStamps(*env.state, ReplyTuple(packet), packet.headers.tcp_flags, service, env.now_s, *env.tables,
                              *env.counters, once);
  }
  const auto* client = rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, packet.client_offset);
  const fwd::ClientHop* hop = RouteTo(packet, client, packet.headers.family, env);
  if (hop == nullptr) return;
  const Be16 port = service.port == Be16() ? packet.headers.source_port : service.port;
  Leg leg;
  SetWay(leg, *hop);
  leg.family = packet.headers.family;
  leg.ends.source = service.address.data();
  leg.ends.source_port = port;
  leg.to_backend = false;
  leg.stamps = stamps;
  leg.clamp_mss = vip.clamp_mss;
  leg.error_source = ErrorSource(packet, service.address.data());
  leg.quoted.destination = service.address.data();
  leg.quoted.destination_port = port;
  env.counters->nat.stateless_replies.Increment();
  Carry(packet, leg, env);
}

void AnswerBySession(Packet& packet, StageEnv& env) {
  lb::NatSession* const found = SessionOf(packet, env);
  if (found == nullptr) {
    Drop(packet, DropReason::kNatUnknownReply);
    return;
  }
  lb::NatSession& session = *found;
  const fwd::ClientHop* hop = RouteTo(packet, session.client.data(), session.client_family, env);
  if (hop == nullptr) return;
  Leg leg;
  SetWay(leg, *hop);
  leg.family = session.client_family;
  leg.ends = {.source = session.vip_address.data(),
              .destination = session.client.data(),
              .source_port = session.vip_port,
              .destination_port = session.client_port};
  leg.session = &session;
  leg.stamps = StampsOf(session, env);
  leg.to_backend = false;
  leg.clamp_mss = (*env.state->vips)[session.vip.index()].clamp_mss;
  leg.error_source = ErrorSource(packet, session.vip_address.data());
  leg.error_destination = session.client.data();
  leg.quoted = {.source = session.client.data(),
                .destination = session.vip_address.data(),
                .source_port = session.client_port,
                .destination_port = session.vip_port};
  env.counters->nat.replies.Increment();
  Carry(packet, leg, env);
}

}  // namespace

void RewriteToBackend(Packet& packet, StageEnv& env) {
  const fwd::BackendEntry& backend = (*env.state->backends)[packet.backend.index()];
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  if (!backend.resolved) {
    Drop(packet, DropReason::kNextHopUnresolved);
    return;
  }
  Leg leg;
  leg.ether = backend.ether;
  leg.port = backend.port;
  leg.family = backend.family;
  leg.clamp_mss = vip.clamp_mss;
  leg.ends.destination = backend.address();
  leg.ends.destination_port = backend.nat_port == Be16() ? packet.headers.destination_port : backend.nat_port;
  if (packet.session != lb::NatTable::kNone) {
    lb::NatSession* const found = SessionOf(packet, env);
    if (found == nullptr) {
      Drop(packet, DropReason::kNatNoSession);
      return;
    }
    lb::NatSession& session = *found;
    leg.session = &session;
    leg.stamps = StampsOf(session, env);
    leg.ends.destination_port = session.backend_port;
    if (session.source_translated) {
      leg.ends.source = session.local_address.data();
      leg.ends.source_port = session.local_port;
      // The network of the backends need not carry routers' addresses from the client's side.
      leg.error_source = session.local_address.data();
    }
  } else if (leg.family != packet.headers.family) {
    Drop(packet, DropReason::kFamilyMismatch);
    return;
  }
  leg.hides_echo = leg.session == nullptr && packet.rung == fwd::Rung::kCookie;
  leg.error_destination = leg.ends.destination;
  leg.quoted = {.source = leg.ends.destination,
                .destination = leg.ends.source,
                .source_port = leg.ends.destination_port,
                .destination_port = leg.ends.source_port};
  Carry(packet, leg, env);
}

void RewriteToClient(Packet& packet, StageEnv& env) {
  if (packet.direction == Direction::kToClient) {
    AnswerBySession(packet, env);
  } else {
    AnswerByTable(packet, env);
  }
}

}  // namespace sluice::stage
