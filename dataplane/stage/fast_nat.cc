#include "dataplane/stage/fast_nat.h"

#include <rte_mbuf.h>

#include <array>
#include <cstring>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/find_session.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_begin_nat.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/fast_translate.h"
#include "dataplane/stage/nat.h"
#include "dataplane/stage/nat_tcp.h"

namespace sluice::stage {
namespace {

using net::Family;
using net::Load;
using net::Store;
using Way = fwd::FastPathVip::Way;
using Link = lb::NatTable::Link;

// Segments that more is done about than to translate them.
bool IsPlain(const Packet& packet) { return (packet.headers.tcp_flags & net::kTcpSyn) == 0; }
bool IsPlainSession(const lb::NatSession& session) { return session.tracking.proxy_bytes == 0 && !session.stamped; }

lb::PackedTuple TupleOfFrame(const Packet& packet, const uint8_t* frame) {
  const Family family = packet.headers.family;
  const bool v4 = family == Family::kIpv4;
  return lb::PackTuple(family, packet.headers.protocol, frame + (v4 ? kSource<Family::kIpv4> : kSource<Family::kIpv6>),
                       frame + packet.headers.l4_offset);
}

// The backend of the session, if it is still the one that the session was made for; else null.
const fwd::BackendEntry* BackendOf(const lb::NatSession& session, const StageEnv& env) {
  const fwd::BackendTable& backends = *env.state->backends;
  if (session.backend.index() >= backends.size()) return nullptr;
  const fwd::BackendEntry& backend = backends[session.backend.index()];
  const bool same = backend.state != fwd::BackendState::kAbsent && backend.generation == session.generation;
  return same ? &backend : nullptr;
}

void UseSession(Packet& packet, const lb::NatSession& session, const StageEnv& env) {
  packet.session = env.tables->nat().table().NumberOf(session);
  packet.session_use = session.use;
  packet.backend = session.backend;
}

constexpr uint8_t kEnds = net::kTcpSyn | net::kTcpFin | net::kTcpRst;

bool IsOngoing(const Packet& packet) {
  return packet.headers.protocol == net::kProtocolTcp && (packet.headers.tcp_flags & kEnds) == 0;
}
bool HasAck(const Packet& packet) { return (packet.headers.tcp_flags & net::kTcpAck) != 0; }
uint32_t AcknowledgementOf(const Packet& packet, const uint8_t* frame) {
  return Load<Be32>(frame + packet.headers.l4_offset + offsetof(net::TcpHeader, acknowledgement)).Host();
}

bool SelectOfClient(Packet& packet, StageEnv& env) {
  if (!IsPlain(packet)) return false;
  const uint8_t* const frame = FrameOf(packet);
  lb::NatSession* const session =
      lb::FindByClient(env.tables->nat().table(), TupleOfFrame(packet, frame), packet.vip, packet.flow_hash);
  if (session == nullptr || !IsPlainSession(*session)) return false;
  const fwd::BackendEntry* const backend = BackendOf(*session, env);
  if (backend == nullptr || backend->state == fwd::BackendState::kDown) return false;
  lb::NatTracking& tracking = session->tracking;
  if (packet.headers.protocol != net::kProtocolTcp) {
    lb::NoteClientDatagram(tracking, env.now_s);
  } else if (!IsOngoing(packet) || !lb::NoteOngoing(tracking, tracking.client_ack, HasAck(packet),
                                                    AcknowledgementOf(packet, frame), env.now_s)) {
    lb::NoteClientSegment(tracking, ReadSegment(packet), env.now_s);
  }
  packet.rung = fwd::Rung::kConnectionTable;
  CountInPlace(env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)], 1);
  UseSession(packet, *session, env);
  return true;
}

bool SelectOfBackend(Packet& packet, StageEnv& env) {
  const uint8_t* const frame = FrameOf(packet);
  lb::NatSession* const session =
      lb::FindByBackend(env.tables->nat().table(), TupleOfFrame(packet, frame), packet.flow_hash);
  if (session == nullptr || !IsPlainSession(*session) || BackendOf(*session, env) == nullptr) return false;
  // Such a VIP exists still, which is all that is to be known of it.
  const std::vector<fwd::FastPathVip>& vips = *env.state->fast_path_vips;
  if (session->vip.index() >= vips.size() || vips[session->vip.index()].way != Way::kSession) return false;
  lb::NatTracking& tracking = session->tracking;
  if (!IsOngoing(packet) ||
      !lb::NoteOngoing(tracking, tracking.backend_ack, HasAck(packet), AcknowledgementOf(packet, frame), env.now_s)) {
    NoteReply(packet, *session, env.now_s);
  }
  packet.vip = session->vip;
  UseSession(packet, *session, env);
  return true;
}

// How a packet leaves.
struct Departure {
  const net::EtherHeader* ether = nullptr;  // null: the stages are to decide
  uint32_t hop = 0;                         // of what goes to the client: fwd::ClientRoutes::NameOf
  PortId port;
  const uint8_t* source = nullptr;  // its new ends
  const uint8_t* destination = nullptr;
  Be16 source_port;
  Be16 destination_port;
};

Departure ToBackend(const Packet& packet, const lb::NatSession& session, const StageEnv& env) {
  const fwd::BackendEntry& backend = (*env.state->backends)[packet.backend.index()];
  if (!backend.resolved || backend.family != packet.headers.family) return {};
  // Of a flow whose source stays, the local end is the client's.
  return {.ether = &backend.ether,
          .port = backend.port,
          .source = session.local_address.data(),
          .destination = backend.address(),
          .source_port = session.local_port,
          .destination_port = session.backend_port};
}

Departure ToClient(const Packet& packet, const lb::NatSession& session, const StageEnv& env) {
  if (session.client_family != packet.headers.family) return {};
  const fwd::ClientRoutes& routes = *env.state->client_routes;
  const uint8_t* const client = session.client.data();
  const fwd::ClientHop* const hop = session.client_family == Family::kIpv4
                                        ? routes.LookupV4(Load<Be32>(client), packet.flow_hash)
                                        : routes.LookupV6(client, packet.flow_hash);
  if (hop == nullptr || hop->local || !hop->resolved) return {};
  return {.ether = &hop->ether,
          .hop = routes.NameOf(*hop),
          .port = hop->port,
          .source = session.vip_address.data(),
          .destination = client,
          .source_port = session.vip_port,
          .destination_port = session.client_port};
}

// What RewriteFlow and DecrementHopLimit (net/nat_rewrite.h) do, of a frame whose headers lie where those of all frames
// of the fast path do. The packet has a hop left.
template <Family family>
void Translate(uint8_t* frame, uint8_t protocol, const Departure& departure) {
  uint8_t* const source = frame + kSource<family>;
  uint8_t* const destination = frame + kDestination<family>;
  uint8_t* const l4 = frame + kL4<family>;
  net::ChecksumDelta delta;
  for (size_t i = 0; i < (family == Family::kIpv4 ? 4 : 16); i += sizeof(uint32_t)) {
    delta.Replace(Load<uint32_t>(source + i), Load<uint32_t>(departure.source + i));
    delta.Replace(Load<uint32_t>(destination + i), Load<uint32_t>(departure.destination + i));
    Store(source + i, Load<uint32_t>(departure.source + i));
    Store(destination + i, Load<uint32_t>(departure.destination + i));
  }
  if constexpr (family == Family::kIpv4) {
    uint8_t* const ip = frame + kL3;
    net::ChecksumDelta header = delta;
    // The word of TTL and protocol, of which the first byte is one less.
    const auto before = Load<uint16_t>(ip + offsetof(net::Ipv4Header, ttl));
    const auto after = static_cast<uint16_t>(before - 1);
    header.Replace(before, after);
    Store(ip + offsetof(net::Ipv4Header, ttl), after);
    uint8_t* const checksum = ip + offsetof(net::Ipv4Header, checksum);
    Store(checksum, header.Apply(Load<uint16_t>(checksum)));
  } else {
    --frame[kHops<family>];
  }
  const uint32_t ports = departure.source_port.raw() | uint32_t{departure.destination_port.raw()} << 16;
  delta.Replace(Load<uint32_t>(l4), ports);
  Store(l4, ports);
  if (protocol == net::kProtocolTcp) {
    uint8_t* const checksum = l4 + offsetof(net::TcpHeader, checksum);
    Store(checksum, delta.Apply(Load<uint16_t>(checksum)));
  } else {
    delta.ApplyToL4(protocol, l4);
  }
}

// Departs as `packet`, which was looked up whole: the next ones like it need not be.
void NoteKnown(const Packet& packet, const Departure& departure, lb::NatSession& session, StageEnv& env) {
  // Of a session between the families there is no departure, so that both sides are of the packet's.
  if (!session.tracking.answered || departure.ether == nullptr) return;
  const lb::NatSide side = packet.direction == Direction::kToBackend ? lb::NatSide::kClient : lb::NatSide::kBackend;
  session.tracking.Learn(side, env.tables->nat().NumberFor(*env.state), departure.hop,
                         session.client_family == Family::kIpv6);
}

// The stages send what begins a connection, but what is seen of the backend's part spares its first answer the search.
void NoteBeginning(const Packet& packet, lb::NatSession& session, StageEnv& env) {
  if (packet.direction != Direction::kToClient || session.tracking.state != lb::NatState::kSynReceived) return;
  NoteKnown(packet, ToClient(packet, session, env), session, env);
}

SLUICE_FAST_PATH void CountReply(const Packet& packet, fwd::WorkerCounters& counters) {
  CountInPlace(counters.nat.replies, 1);
  CountInPlace(counters.vips[packet.vip.index()].replies, packet.headers.ip_length);
}

}  // namespace

void PrefetchSessions(const Burst& burst, StageEnv& env) {
  const lb::NatTable& table = env.tables->nat().table();
  const auto prefetch = [&table](Link link) {
    PrefetchLine(&table.at(link.number()));
    PrefetchLine(&table.at(link.number()).client);
  };
  std::array<Link, kBurstSize> chains;
  size_t count = 0;
  NatBeginnings beginnings(env);
  for (size_t i = 0; i < burst.count; ++i) {
    const Packet& packet = burst.packets[i];
    if (packet.past != Past::kSessionLookup) continue;
    const Link first = table.First(packet.flow_hash);
    if (!first.valid()) {
      beginnings.Add(packet);
      continue;
    }
    prefetch(first);
    chains[count++] = first;
  }
  beginnings.Prefetch();
  for (size_t i = 0; i < count; ++i) {
    const BackendId backend = table.at(chains[i].number()).backend;
    PrefetchLine(&(*env.state->backends)[backend.index()]);
    PrefetchLine(&env.counters->backends[backend.index()]);
    // One flow in nine is the second of its chain.
    const Link behind = table.Next(chains[i]);
    if (behind.valid()) [[unlikely]]
      prefetch(behind);
  }
}

bool SelectSession(Packet& packet, StageEnv& env) {
  return packet.direction == Direction::kToBackend ? SelectOfClient(packet, env) : SelectOfBackend(packet, env);
}

SLUICE_FAST_PATH bool SendTranslated(Packet& packet, StageEnv& env) {
  // Another packet of the burst may have ended it: see SessionOf.
  lb::NatSession* const session = &env.tables->nat().table().at(packet.session);
  if (session->use != packet.session_use || session->tracking.state == lb::NatState::kFree) return false;
  if (!IsPlainSession(*session)) return false;
  if (!IsPlain(packet)) {
    NoteBeginning(packet, *session, env);
    return false;
  }
  const bool to_backend = packet.direction == Direction::kToBackend;
  const Departure departure = to_backend ? ToBackend(packet, *session, env) : ToClient(packet, *session, env);
  if (departure.ether == nullptr) return false;
  if (packet.headers.ip_length > env.node->ports[departure.port.index()].mtu_bytes) return false;
  uint8_t* const frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  const bool v4 = packet.headers.family == Family::kIpv4;
  if (!(v4 ? HasHopLeft<Family::kIpv4>(frame) : HasHopLeft<Family::kIpv6>(frame))) return false;
  if (v4) {
    Translate<Family::kIpv4>(frame, packet.headers.protocol, departure);
  } else {
    Translate<Family::kIpv6>(frame, packet.headers.protocol, departure);
  }
  std::memcpy(frame, departure.ether, offsetof(net::EtherHeader, ether_type));
  NoteKnown(packet, departure, *session, env);
  MarkReady(packet, departure.port);
  if (to_backend) {
    CountForwarded(packet, *env.counters);
  } else {
    CountReply(packet, *env.counters);
  }
  return true;
}

}  // namespace sluice::stage
