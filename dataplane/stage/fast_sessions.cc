#include "dataplane/stage/fast_sessions.h"

#include <immintrin.h>
#include <rte_mbuf.h>

#include <array>
#include <cstring>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/nat_table.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_frame.h"

namespace sluice::stage {
namespace {

using lb::NatSide;
using net::Load;
using net::Store;

constexpr auto kV4 = net::Family::kIpv4;
using Link = lb::NatTable::Link;

// Records of packets that come from either side.
constexpr std::array<Packet, 2> MakeSideRecords() {
  std::array<Packet, 2> records = {kRecord<kV4, net::kProtocolTcp>, kRecord<kV4, net::kProtocolTcp>};
  for (Packet& record : records) record.past = Past::kKnownLookup;
  Packet& answer = records[lb::IndexOf(NatSide::kBackend)];
  answer.direction = Direction::kToClient;
  std::swap(answer.client_offset, answer.vip_offset);
  return records;
}
alignas(64) constexpr std::array<Packet, 2> kSideRecords = MakeSideRecords();

NatSide SideOf(const Packet& packet) {
  return packet.direction == Direction::kToBackend ? NatSide::kClient : NatSide::kBackend;
}

// Packets that may be of known sessions, in the burst's order.
struct Candidates {
  struct Candidate {
    uint64_t hash;
    Link link;
    uint32_t place;
  };
  std::array<Candidate, kBurstSize> list;
  size_t count = 0;
};

// Whether a packet of this kind changes nothing in a session but what it acknowledges.
bool IsMiddle(uint8_t protocol, uint8_t tcp_flags) {
  constexpr uint8_t kAsked = net::kTcpSyn | net::kTcpFin | net::kTcpRst | net::kTcpAck;
  return protocol != net::kProtocolTcp || (tcp_flags & kAsked) == net::kTcpAck;
}
bool IsMiddle(const lb::NatTracking& tracking, uint8_t protocol) {
  const auto state = protocol == net::kProtocolTcp ? lb::NatState::kEstablished : lb::NatState::kUdp;
  return tracking.state == state && tracking.confirmed && tracking.answered;
}

uint8_t TcpFlagsOf(const uint8_t* l4, uint8_t protocol) {
  return protocol == net::kProtocolTcp ? l4[offsetof(net::TcpHeader, flags)] : uint8_t{0};
}

// Whether LookUpOnFastPath would look the frame up, but for what the note in its session says.
bool IsSound(const rte_mbuf* mbuf, const uint8_t* frame, uint8_t protocol) {
  const uint32_t ip_bytes = net::CommonIpBytes(kV4, frame + kL3);
  return ip_bytes + kL3 <= rte_pktmbuf_data_len(mbuf) &&
         net::CommonL4IsSound(frame + kL4<kV4>, protocol, static_cast<int>(ip_bytes) - kIpBytes<kV4>) &&
         ChecksumIsGood<kV4>(mbuf, frame + kL3);
}

SLUICE_FAST_PATH __m128i TupleMask() { return _mm_set_epi32(0, -1, -1, -1); }

// The session is the packet's, and known.
SLUICE_FAST_PATH inline bool IsOf(const lb::NatSession& session, NatSide side, const uint8_t* frame, uint8_t protocol,
                                  uint32_t number) {
  const __m128i differs = _mm_xor_si128(lb::LoadBlock(session.TupleOf(side)), lb::LoadBlock(frame + kSource<kV4>));
  return _mm_testz_si128(differs, TupleMask()) != 0 && session.tracking.protocol == protocol &&
         session.tracking.Knows(side, number) && IsMiddle(session.tracking, protocol);
}

SLUICE_FAST_PATH inline void MakeRecord(Packet& packet, rte_mbuf* mbuf, PortId port, uint64_t hash,
                                        const lb::NatSession& session, Link link) {
  const NatSide side = link.side();
  const auto* const record = reinterpret_cast<const uint8_t*>(&kSideRecords[lb::IndexOf(side)]);
  auto* const at = reinterpret_cast<uint8_t*>(&packet);
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), Load32(record));
  _mm256_store_si256(reinterpret_cast<__m256i*>(at + 32), Load32(record + 32));
  const uint8_t* const frame = FrameOf(mbuf);
  const uint8_t* const l4 = frame + kL4<kV4>;
  const uint8_t protocol = session.tracking.protocol;
  packet.mbuf = mbuf;
  packet.in_port = port;
  packet.flow_hash = hash;
  packet.headers.protocol = protocol;
  packet.headers.tcp_flags = TcpFlagsOf(l4, protocol);
  packet.headers.ip_length = static_cast<uint16_t>(net::CommonIpBytes(kV4, frame + kL3));
  static_assert(offsetof(net::ParsedHeaders, destination_port) == offsetof(net::ParsedHeaders, source_port) + 2);
  Store(at + offsetof(Packet, headers) + offsetof(net::ParsedHeaders, source_port), Load<uint32_t>(l4));
  // An answer's is not known before its session was looked at again.
  const auto unknown = static_cast<VipId::rep>(0 - lb::IndexOf(side));
  packet.vip = VipId(static_cast<VipId::rep>(session.vip.value() | unknown));
  packet.session = link.number();
  packet.session_use = session.use;
}

}  // namespace

SLUICE_FAST_PATH Places TakeKnownSessions(rte_mbuf* const* mbufs, PortId port, Burst& burst, StageEnv& env) {
  lb::NatTable& table = env.tables->nat().table();
  const uint32_t number = env.tables->nat().NumberFor(*env.state);
  if (table.in_use() == 0 || env.state->fast_path_vips->empty()) return 0;
  const __m256i mac = MacOf(env.node->ports[port.index()]);
  const __m256i tcp = _mm256_or_si256(mac, Load32(kStart<kV4, net::kProtocolTcp>.data()));
  const __m256i udp = _mm256_or_si256(mac, Load32(kStart<kV4, net::kProtocolUdp>.data()));
  const lb::AesFlowKeys keys = lb::LoadFlowKeys(*env.state->keys);
  const auto vip_of = env.state->vip_table->exact_v4().finder();
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  const fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  const fwd::VipCounters* const vip_counters = env.counters->vips.get();

  Candidates candidates;
  const size_t count = burst.count;
  for (size_t i = 0; i < count; ++i) {
    rte_mbuf* const mbuf = mbufs[i];
    const uint8_t* const frame = FrameOf(mbuf);
    if (mbuf->nb_segs != 1 || rte_pktmbuf_data_len(mbuf) < net::kCommonBytesV4) [[unlikely]]
      continue;
    const __m256i start = _mm256_lddqu_si256(reinterpret_cast<const __m256i*>(frame));
    const bool is_tcp = Begins<kV4>(start, tcp);
    if (!is_tcp && !Begins<kV4>(start, udp)) continue;
    const uint8_t protocol = is_tcp ? net::kProtocolTcp : net::kProtocolUdp;
    const uint8_t* const l4 = frame + kL4<kV4>;
    // Of a VIP without translation.
    const VipId vip =
        vip_of.FindEvenly(VipAddressAt<kV4>(frame + kDestination<kV4>), protocol, Load<Be16>(l4 + sizeof(Be16)));
    const size_t known_vip = vip.valid() ? vip.index() : 0;
    if (vip.valid() & (vips[known_vip].way != fwd::FastPathVip::Way::kSession)) continue;
    if (!IsMiddle(protocol, TcpFlagsOf(l4, protocol)) || !IsSound(mbuf, frame, protocol)) [[unlikely]]
      continue;
    const uint64_t hash = is_tcp ? HashOf<kV4, net::kProtocolTcp>(frame + kSource<kV4>, keys)
                                 : HashOf<kV4, net::kProtocolUdp>(frame + kSource<kV4>, keys);
    table.Prefetch(hash);
    candidates.list[candidates.count++] = {.hash = hash, .link = Link(), .place = static_cast<uint32_t>(i)};
  }

  for (size_t k = 0; k < candidates.count; ++k) {
    auto& candidate = candidates.list[k];
    candidate.link = table.First(candidate.hash);
    if (candidate.link.valid()) [[likely]]
      PrefetchLine(&table.at(candidate.link.number()));
  }

  // One flow in five is the second of its chain: those are looked at again, when their next session is there.
  Places taken = 0;
  while (candidates.count != 0) {
    size_t rest = 0;
    for (size_t k = 0; k < candidates.count; ++k) {
      const auto candidate = candidates.list[k];
      if (!candidate.link.valid()) continue;
      const lb::NatSession& session = table.at(candidate.link.number());
      const NatSide side = candidate.link.side();
      rte_mbuf* const mbuf = mbufs[candidate.place];
      const uint8_t* const frame = FrameOf(mbuf);
      if (!IsOf(session, side, frame, frame[kL3 + offsetof(net::Ipv4Header, protocol)], number)) [[unlikely]] {
        const Link next = table.Next(candidate.link);
        if (!next.valid()) continue;
        PrefetchLine(&table.at(next.number()));
        candidates.list[rest++] = {.hash = candidate.hash, .link = next, .place = candidate.place};
        continue;
      }
      MakeRecord(burst.packets[candidate.place], mbuf, port, candidate.hash, session, candidate.link);
      taken |= Places{1} << candidate.place;
      // What the next passes read and write. Of an answer its VIP's counters.
      PrefetchLine(&backends[session.backend.index()]);
      const void* const of_backend = &backend_counters[session.backend.index()];
      const void* const of_vip = &vip_counters[session.vip.index()];
      PrefetchLine(side == NatSide::kClient ? of_backend : of_vip);
    }
    candidates.count = rest;
  }
  return taken;
}

bool SelectKnown(Packet& packet, StageEnv& env) {
  lb::NatSession& session = env.tables->nat().table().at(packet.session);
  lb::NatTracking& tracking = session.tracking;
  const NatSide side = SideOf(packet);
  const uint8_t protocol = packet.headers.protocol;
  const fwd::BackendTable& backends = *env.state->backends;
  // Another packet of the burst may have ended it, or begun to.
  bool as_before = session.use == packet.session_use && IsMiddle(tracking, protocol);
  if (as_before && session.backend.index() < backends.size()) [[likely]] {
    const fwd::BackendEntry& backend = backends[session.backend.index()];
    const bool is_down = backend.state == fwd::BackendState::kDown;
    as_before = backend.generation == session.generation && backend.state != fwd::BackendState::kAbsent &&
                !(is_down & (side == NatSide::kClient));
  } else {
    as_before = false;
  }
  if (!as_before) [[unlikely]] {
    packet.session = lb::NatTable::kNone;
    packet.session_use = 0;
    return false;
  }
  // The line is written once a second and at a change.
  if (tracking.last_seen_s != env.now_s) [[unlikely]]
    tracking.last_seen_s = env.now_s;
  if (protocol == net::kProtocolTcp) {
    const uint8_t* const tcp = FrameOf(packet) + kL4<kV4>;
    const uint32_t acknowledged = Load<Be32>(tcp + offsetof(net::TcpHeader, acknowledgement)).Host();
    uint32_t& last = side == NatSide::kClient ? tracking.client_ack : tracking.backend_ack;
    if (last != acknowledged) last = acknowledged;
  }
  packet.vip = session.vip;
  packet.backend = session.backend;
  packet.rung = side == NatSide::kClient ? fwd::Rung::kConnectionTable : fwd::Rung::kNone;
  CountInPlace(env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)], 1 - lb::IndexOf(side));
  packet.past = Past::kKnownSelection;
  return true;
}

namespace {

// What leaves has the other side's ends, the other way round: source and destination, and their ports, change places.
SLUICE_FAST_PATH inline __m128i Swapped(__m128i tuple) {
  return _mm_shuffle_epi8(tuple, _mm_setr_epi8(4, 5, 6, 7, 0, 1, 2, 3, 10, 11, 8, 9, 12, 13, 14, 15));
}

SLUICE_FAST_PATH inline uint32_t Part(__m128i block, int part) {
  return static_cast<uint32_t>(part == 0   ? _mm_cvtsi128_si32(block)
                               : part == 1 ? _mm_extract_epi32(block, 1)
                                           : _mm_extract_epi32(block, 2));
}

// Gives the frame its new ends and one hop less. `tuple`: of the side to which it goes.
SLUICE_FAST_PATH inline void Translate(uint8_t* frame, uint8_t protocol, const uint8_t* tuple) {
  uint8_t* const ip = frame + kL3;
  uint8_t* const l4 = frame + kL4<kV4>;
  const __m128i before = lb::LoadBlock(frame + kSource<kV4>);
  // Behind the ports lies what stays: of TCP the sequence number.
  const __m128i after = _mm_blend_epi16(before, Swapped(lb::LoadBlock(tuple)), 0b0011'1111);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(frame + kSource<kV4>), after);
  net::ChecksumDelta delta;
  delta.Replace(Part(before, 0), Part(after, 0));
  delta.Replace(Part(before, 1), Part(after, 1));
  net::ChecksumDelta header = delta;
  // Of the word of TTL and protocol the first byte is one less.
  const auto hops = Load<uint16_t>(ip + offsetof(net::Ipv4Header, ttl));
  header.Replace(hops, static_cast<uint16_t>(hops - 1));
  Store(ip + offsetof(net::Ipv4Header, ttl), static_cast<uint16_t>(hops - 1));
  uint8_t* const ip_checksum = ip + offsetof(net::Ipv4Header, checksum);
  Store(ip_checksum, header.Apply(Load<uint16_t>(ip_checksum)));
  delta.Replace(Part(before, 2), Part(after, 2));
  if (protocol == net::kProtocolTcp) [[likely]] {
    uint8_t* const checksum = l4 + offsetof(net::TcpHeader, checksum);
    Store(checksum, delta.Apply(Load<uint16_t>(checksum)));
  } else {
    delta.ApplyToL4(protocol, l4);
  }
}

// What CountForwarded does, or the same for an answer.
void CountKnown(const Packet& packet, NatSide side, fwd::WorkerCounters& counters) {
  const bool is_answer = side == NatSide::kBackend;
  const uint64_t bytes = packet.headers.ip_length;
  fwd::VipCounters& vip = counters.vips[packet.vip.index()];
  CountInPlace(is_answer ? vip.reply_packets : vip.packets, 1);
  CountInPlace(is_answer ? vip.reply_bytes : vip.bytes, bytes);
  fwd::BackendCounters& backend = counters.backends[packet.backend.index()];
  const uint64_t forwarded = is_answer ? 0 : 1;
  CountInPlace(backend.packets, forwarded);
  CountInPlace(backend.bytes, bytes & (0 - forwarded));
  CountInPlace(counters.nat.replies, 1 - forwarded);
}

// Either begins with the Ethernet header of what leaves.
static_assert(offsetof(fwd::BackendEntry, ether) == 0 && offsetof(fwd::ClientHop, ether) == 0);

}  // namespace

SLUICE_FAST_PATH bool SendKnown(Packet& packet, StageEnv& env) {
  const lb::NatSession& session = env.tables->nat().table().at(packet.session);
  // Another packet of the burst may have ended it: see SessionOf.
  if (session.use != packet.session_use || session.tracking.state == lb::NatState::kFree) return false;
  const NatSide side = SideOf(packet);
  // Which way it goes chooses between addresses, so that there is nothing to guess.
  const bool to_backend = side == NatSide::kClient;
  const fwd::BackendEntry& backend = (*env.state->backends)[packet.backend.index()];
  if (to_backend & !backend.resolved) return false;
  const fwd::ClientHop* const hop = env.state->client_routes->Named(to_backend ? 0 : session.tracking.known_hop);
  const auto* const line =
      to_backend ? reinterpret_cast<const uint8_t*>(&backend) : reinterpret_cast<const uint8_t*>(hop);
  const auto port =
      Load<PortId>(line + (to_backend ? offsetof(fwd::BackendEntry, port) : offsetof(fwd::ClientHop, port)));
  if (packet.headers.ip_length > env.node->ports[port.index()].mtu_bytes) return false;
  auto* const frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  if (frame[kL3 + offsetof(net::Ipv4Header, ttl)] <= 1) return false;
  Translate(frame, packet.headers.protocol, session.TupleOf(lb::Other(side)));
  std::memcpy(frame, line, offsetof(net::EtherHeader, ether_type));
  packet.out_port = port;
  packet.fate = Fate::kForwarded;
  packet.past = Past::kAll;
  CountKnown(packet, side, *env.counters);
  return true;
}

}  // namespace sluice::stage
