#include "dataplane/stage/fast_sessions.h"

#include <immintrin.h>
#include <rte_mbuf.h>

#include <bit>
#include <cstring>

#include "dataplane/lb/nat_table.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_known.h"
#include "dataplane/stage/fast_translate.h"

namespace sluice::stage {
namespace {

using net::Family;
using net::Load;
using net::Store;

// Makes the record of a packet whose session is known.
template <Family family>
SLUICE_FAST_PATH inline void MakeRecord(Packet& packet, rte_mbuf* mbuf, PortId port, uint64_t hash,
                                        const uint8_t* frame, const FoundSession& found, const lb::NatTable& table) {
  const lb::NatSession& session = *found.session;
  const auto* const record = reinterpret_cast<const uint8_t*>(&kSideRecords<family>[found.side]);
  auto* const at = reinterpret_cast<uint8_t*>(&packet);
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), Load32(record));
  _mm256_store_si256(reinterpret_cast<__m256i*>(at + 32), Load32(record + 32));
  const uint8_t protocol = session.tracking.protocol;
  packet.mbuf = mbuf;
  packet.in_port = port;
  packet.flow_hash = hash;
  packet.headers.protocol = protocol;
  packet.headers.tcp_flags = TcpFlagsOf(frame + kL4<family>, protocol);
  packet.headers.ip_length = static_cast<uint16_t>(net::CommonIpBytes(family, frame + kL3));
  StorePorts(packet, Load<uint32_t>(frame + kL4<family>));
  // An answer's is not known before its session was looked at again.
  const auto unknown = static_cast<VipId::rep>(0 - found.side);
  packet.vip = VipId(static_cast<VipId::rep>(session.vip.value() | unknown));
  packet.session = table.NumberOf(session);
  packet.session_use = session.use;
}

// TakeKnownSessions of the packets of one family.
template <Family family>
SLUICE_FAST_PATH Places TakeKnownOf(rte_mbuf* const* mbufs, PortId port, Parsed& parsed, Burst& burst, Sent& sent,
                                    StageEnv& env) {
  KnownSessions known;
  FindKnownSessions<family>(burst, parsed, known, env);
  if (known.places == AllPlaces(burst.count)) [[likely]] {
    sent = SendKnownBurst<family>(mbufs, port, parsed, known, burst, env);
    if (sent.port.valid()) [[likely]]
      return known.places;
  }
  const lb::NatTable& table = env.tables->nat().table();
  for (Places left = known.places; left != 0; left &= left - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(left));
    MakeRecord<family>(burst.packets[i], mbufs[i], port, known.hashes[i], parsed.frame[i], known.found[i], table);
    parsed.slot[i] = nullptr;
  }
  parsed.EightsOf<family, net::kProtocolTcp>() &= ~known.places;
  parsed.EightsOf<family, net::kProtocolUdp>() &= ~known.places;
  return known.places;
}

// Places of packets that may have a session, by family.
struct Candidates {
  Places v4;
  Places v6;
};
Candidates CandidatesOf(const Burst& burst, const Parsed& parsed) {
  const Parsed::Eights& eights = parsed.eights;
  Candidates candidates = {.v4 = eights.tcp_v4 | eights.udp_v4, .v6 = eights.tcp_v6 | eights.udp_v6};
  for (Places others = AllPlaces(burst.count) & ~eights.all(); others != 0; others &= others - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(others));
    if (parsed.slot[i] == nullptr) continue;
    const bool v4 = burst.packets[i].headers.family == Family::kIpv4;
    (v4 ? candidates.v4 : candidates.v6) |= Places{1} << i;
  }
  return candidates;
}

}  // namespace

Places TakeKnownSessions(rte_mbuf* const* mbufs, PortId port, Parsed& parsed, Burst& burst, Sent& sent, StageEnv& env) {
  if (env.tables->nat().table().in_use() == 0 || env.state->fast_path_vips->empty()) return 0;
  const Candidates candidates = CandidatesOf(burst, parsed);
  Places taken = 0;
  if (candidates.v4 != 0) taken |= TakeKnownOf<Family::kIpv4>(mbufs, port, parsed, burst, sent, env);
  if (candidates.v6 != 0) taken |= TakeKnownOf<Family::kIpv6>(mbufs, port, parsed, burst, sent, env);
  return taken;
}

namespace {

uint64_t SideOf(const Packet& packet) {
  return lb::IndexOf(packet.direction == Direction::kToBackend ? lb::NatSide::kClient : lb::NatSide::kBackend);
}

// Since it was found: another packet of the burst may have ended it, or begun to.
bool IsAsBefore(const lb::NatSession& session, const Packet& packet) {
  return session.use == packet.session_use && session.tracking.state == MiddleStateOf(packet.headers.protocol);
}

}  // namespace

size_t SelectKnown(Burst& burst, size_t first, StageEnv& env) {
  lb::NatTable& table = env.tables->nat().table();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  const size_t backend_count = env.state->backends->size();
  const uint32_t now_s = env.now_s;
  const size_t count = burst.count;
  uint64_t of_clients = 0;
  size_t i = first;
  for (; i < count && burst.packets[i].past == Past::kKnownLookup; ++i) {
    Packet& packet = burst.packets[i];
    lb::NatSession& session = table.at(packet.session);
    const uint64_t side = SideOf(packet);
    const size_t backend = session.backend.index();
    if (!IsAsBefore(session, packet) || backend >= backend_count || !Takes(backends[backend], session, side))
        [[unlikely]] {
      packet.session = lb::NatTable::kNone;
      packet.session_use = 0;
      packet.past = Past::kSessionLookup;
      break;
    }
    Note(session.tracking, side, packet.headers.protocol, FrameOf(packet) + packet.headers.l4_offset, now_s);
    packet.vip = session.vip;
    packet.backend = session.backend;
    packet.rung = side == 0 ? fwd::Rung::kConnectionTable : fwd::Rung::kNone;
    of_clients += 1 - side;
    packet.past = Past::kKnownSelection;
  }
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Add(of_clients);
  return i;
}

namespace {

// False: no hop is left, and nothing is done.
template <Family family>
SLUICE_FAST_PATH bool TranslateIfHopLeft(uint8_t* frame, const lb::NatSession& session, uint64_t side) {
  if (!HasHopLeft<family>(frame)) [[unlikely]]
    return false;
  TranslateKnown<family>(frame, session, side);
  return true;
}

}  // namespace

SLUICE_FAST_PATH size_t SendKnown(Burst& burst, size_t first, StageEnv& env) {
  const lb::NatTable& table = env.tables->nat().table();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  const fwd::ClientRoutes& routes = *env.state->client_routes;
  const PortTraits* const ports = env.node->ports.data();
  fwd::VipCounters* const vip_counters = env.counters->vips.get();
  fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  fwd::BackendCounters nobody;
  const size_t count = burst.count;
  uint64_t answers = 0;
  size_t i = first;
  for (; i < count && burst.packets[i].past == Past::kKnownSelection; ++i) {
    Packet& packet = burst.packets[i];
    packet.past = Past::kSessionSelection;
    const lb::NatSession& session = table.at(packet.session);
    // Another packet of the burst may have ended it: see SessionOf.
    if (session.use != packet.session_use || session.tracking.state == lb::NatState::kFree) [[unlikely]]
      continue;
    const uint64_t side = SideOf(packet);
    const fwd::BackendEntry& backend = backends[packet.backend.index()];
    if (!KnowsStation(backend, side)) [[unlikely]]
      continue;
    const Egress egress = EgressOf(session, side, backend, routes);
    const uint32_t bytes = packet.headers.ip_length;
    auto* const frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
    if (bytes > ports[egress.port.index()].mtu_bytes) [[unlikely]]
      continue;
    const bool v4 = packet.headers.family == Family::kIpv4;
    if (!(v4 ? TranslateIfHopLeft<Family::kIpv4> : TranslateIfHopLeft<Family::kIpv6>)(frame, session, side))
        [[unlikely]]
      continue;
    std::memcpy(frame, egress.ether, offsetof(net::EtherHeader, ether_type));
    MarkReady(packet, egress.port);
    CountTranslated(bytes, side, vip_counters[packet.vip.index()], backend_counters[packet.backend.index()], nobody);
    answers += side;
  }
  env.counters->nat.replies.Add(answers);
  return i;
}

}  // namespace sluice::stage
