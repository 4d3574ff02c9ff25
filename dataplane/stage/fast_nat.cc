#include "dataplane/stage/fast_nat.h"

#include <rte_mbuf.h>

#include <array>
#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/nat_rewrite.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/flow_view.h"
#include "dataplane/stage/nat.h"
#include "dataplane/stage/nat_packet.h"
#include "dataplane/stage/nat_tcp.h"

namespace sluice::stage {
namespace {

// Segments that more is done about than to translate them.
bool IsPlain(const Packet& packet) { return (packet.headers.tcp_flags & net::kTcpSyn) == 0; }
bool IsPlainSession(const lb::NatSession& session) { return session.proxy_bytes == 0 && !session.stamped; }

lb::NatTuple ClientTuple(const Packet& packet) {
  lb::NatTuple tuple = ReplyTuple(packet);
  std::swap(tuple.source, tuple.destination);
  return tuple;
}

void UseSession(Packet& packet, lb::NatSession& session, StageEnv& env) {
  packet.session = env.tables->nat().table().NumberOf(session);
  packet.session_use = session.use;
  packet.backend = session.backend;
}

bool SelectOfClient(Packet& packet, StageEnv& env) {
  if (!IsPlain(packet)) return false;
  lb::NatSession* const session =
      env.tables->nat().table().FindByClient(ClientTuple(packet), packet.vip, packet.flow_hash);
  if (session == nullptr || !IsPlainSession(*session) || !fwd::NatFlows::IsCurrent(*session, *env.state)) return false;
  if ((*env.state->backends)[session->backend.index()].state == fwd::BackendState::kDown) return false;
  if (packet.headers.protocol == net::kProtocolTcp) {
    lb::NoteClientSegment(session->tracking, ReadSegment(packet), env.now_s);
  } else {
    lb::NoteClientDatagram(session->tracking, env.now_s);
  }
  packet.rung = fwd::Rung::kConnectionTable;
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Increment();
  UseSession(packet, *session, env);
  __builtin_prefetch(&env.counters->backends[packet.backend.index()], 1);
  return true;
}

bool SelectOfBackend(Packet& packet, StageEnv& env) {
  lb::NatSession* const session = env.tables->nat().table().FindByBackend(ReplyTuple(packet), packet.flow_hash);
  if (session == nullptr || !IsPlainSession(*session) || !fwd::NatFlows::IsCurrent(*session, *env.state)) return false;
  NoteReply(packet, *session, env.now_s);
  packet.vip = session->vip;
  UseSession(packet, *session, env);
  __builtin_prefetch(&env.counters->vips[packet.vip.index()], 1);
  return true;
}

// How a packet leaves.
struct Departure {
  const net::EtherHeader* ether = nullptr;  // null: the stages are to decide
  PortId port;
  net::NatChange ends;
};

Departure ToBackend(const Packet& packet, const lb::NatSession& session, const StageEnv& env) {
  const fwd::BackendEntry& backend = (*env.state->backends)[packet.backend.index()];
  if (!backend.resolved || backend.family != packet.headers.family) return {};
  // Of a flow whose source stays, the local end is the client's.
  return {.ether = &backend.ether,
          .port = backend.port,
          .ends = {.source = session.local_address.data(),
                   .destination = backend.address(),
                   .source_port = session.local_port,
                   .destination_port = session.backend_port}};
}

Departure ToClient(const Packet& packet, const lb::NatSession& session, const StageEnv& env) {
  if (session.client_family != packet.headers.family) return {};
  const fwd::ClientRoutes& routes = *env.state->client_routes;
  const uint8_t* const client = session.client.data();
  const fwd::ClientHop* const hop = session.client_family == net::Family::kIpv4
                                        ? routes.LookupV4(net::Load<Be32>(client), packet.flow_hash)
                                        : routes.LookupV6(client, packet.flow_hash);
  if (hop == nullptr || hop->local || !hop->resolved) return {};
  return {.ether = &hop->ether,
          .port = hop->port,
          .ends = {.source = session.vip_address.data(),
                   .destination = client,
                   .source_port = session.vip_port,
                   .destination_port = session.client_port}};
}

void CountReply(const Packet& packet, fwd::WorkerCounters& counters) {
  counters.nat.replies.Increment();
  fwd::VipCounters& vip = counters.vips[packet.vip.index()];
  vip.reply_packets.Increment();
  vip.reply_bytes.Add(packet.headers.ip_length);
}

}  // namespace

void RecogniseOnFastPath(Packet& packet, StageEnv& env) {
  RecogniseReply(packet, env);
  if (packet.direction != Direction::kToClientStateless || packet.fate != Fate::kPending) return;
  // The flow's hash is taken of what the return table says.
  packet.direction = Direction::kToBackend;
  packet.vip = VipId();
}

void PrefetchSessions(const Burst& burst, StageEnv& env) {
  const lb::NatTable& table = env.tables->nat().table();
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  struct Chain {
    uint32_t first;
    bool by_client;
  };
  std::array<Chain, kBurstSize> chains;
  size_t count = 0;
  for (size_t i = 0; i < burst.count; ++i) {
    const Packet& packet = burst.packets[i];
    if (packet.past != Past::kLookup) continue;
    const bool by_client = packet.direction == Direction::kToBackend;
    if (by_client && vips[packet.vip.index()].way != fwd::FastPathVip::Way::kSession) continue;
    const uint32_t first = by_client ? table.FirstByClient(packet.flow_hash) : table.FirstByBackend(packet.flow_hash);
    table.PrefetchSession(first);
    chains[count++] = {.first = first, .by_client = by_client};
  }
  // One flow in five is the second of its chain.
  for (size_t i = 0; i < count; ++i) {
    const Chain& chain = chains[i];
    const uint32_t behind = chain.by_client ? table.BehindByClient(chain.first) : table.BehindByBackend(chain.first);
    if (behind != 0) table.PrefetchSession(behind);
  }
}

bool SelectSession(Packet& packet, StageEnv& env) {
  return packet.direction == Direction::kToBackend ? SelectOfClient(packet, env) : SelectOfBackend(packet, env);
}

bool SendTranslated(Packet& packet, StageEnv& env) {
  // Another packet of the burst may have ended it.
  const lb::NatSession* const session = SessionOf(packet, env);
  if (session == nullptr || !IsPlain(packet) || !IsPlainSession(*session)) return false;
  const bool to_backend = packet.direction == Direction::kToBackend;
  const Departure departure = to_backend ? ToBackend(packet, *session, env) : ToClient(packet, *session, env);
  if (departure.ether == nullptr) return false;
  if (packet.headers.ip_length > env.node->ports[departure.port.index()].mtu_bytes) return false;
  const net::PacketBytes bytes = BytesOf(packet, packet.headers.protocol);
  if (!net::DecrementHopLimit(bytes.family, bytes.ip)) return false;
  net::RewriteFlow(bytes, departure.ends);
  std::memcpy(rte_pktmbuf_mtod(packet.mbuf, uint8_t*), departure.ether, offsetof(net::EtherHeader, ether_type));
  packet.out_port = departure.port;
  packet.fate = Fate::kForwarded;
  packet.past = Past::kAll;
  if (to_backend) {
    CountForwarded(packet, *env.counters);
  } else {
    CountReply(packet, *env.counters);
  }
  return true;
}

}  // namespace sluice::stage
