#include "dataplane/stage/fast_sessions.h"

#include <immintrin.h>
#include <rte_mbuf.h>

#include <array>
#include <cstring>

#include "dataplane/base/prefetch.h"
#include "dataplane/base/unguessed.h"
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

// Memory has so many packets' time to answer for the head of a chain, before it is asked for the session: as many lines
// as a core waits for at a time.
constexpr size_t kHeadsAhead = 10;

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

// A packet that may be of a known session.
struct Candidate {
  uint64_t hash;
  uint32_t link;  // Link::raw
  uint32_t place;
};

// What sessions look like whose packets of one side need nothing but to be translated.
class Looks {
 public:
  Looks(NatSide side, uint8_t protocol) {
    lb::NatTracking mask, value;
    mask.state = static_cast<lb::NatState>(0xff);
    mask.protocol = 0xff;
    value.state = protocol == net::kProtocolTcp ? lb::NatState::kEstablished : lb::NatState::kUdp;
    value.protocol = protocol;
    for (lb::NatTracking* each : {&mask, &value}) {
      each->confirmed = each->answered = true;
      each->known = static_cast<uint8_t>(1u << lb::IndexOf(side)) & 3;
    }
    mask_ = FirstWordOf(mask);
    value_ = FirstWordOf(value);
  }
  // But for NatTracking::known_in.
  bool Fit(const lb::NatTracking& tracking) const { return (FirstWordOf(tracking) & mask_) == value_; }

 private:
  static uint32_t FirstWordOf(const lb::NatTracking& tracking) {
    static_assert(offsetof(lb::NatTracking, state) == 0 && offsetof(lb::NatTracking, last_seen_s) == sizeof(uint32_t));
    return Load<uint32_t>(reinterpret_cast<const uint8_t*>(&tracking));
  }

  uint32_t mask_;
  uint32_t value_;
};
using LooksBySide = std::array<Looks, 2>;
LooksBySide LooksOf(uint8_t protocol) {
  return {Looks(NatSide::kClient, protocol), Looks(NatSide::kBackend, protocol)};
}

// Whether a packet of this kind changes nothing in a session but what it acknowledges.
bool IsMiddle(uint8_t protocol, uint8_t tcp_flags) {
  constexpr uint8_t kAsked = net::kTcpSyn | net::kTcpFin | net::kTcpRst | net::kTcpAck;
  return protocol != net::kProtocolTcp || (tcp_flags & kAsked) == net::kTcpAck;
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

SLUICE_FAST_PATH inline bool HasEnds(const lb::NatSession& session, NatSide side, const uint8_t* frame) {
  const __m128i differs = _mm_xor_si128(lb::LoadBlock(session.TupleOf(side)), lb::LoadBlock(frame + kSource<kV4>));
  return _mm_testz_si128(differs, _mm_set_epi32(0, -1, -1, -1)) != 0;
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

  std::array<Candidate, kBurstSize> candidates;
  size_t candidate_count = 0;
  // Candidates before this one have had their chain's head read and their first session fetched.
  size_t headed = 0;
  const auto read_head = [&] {
    Candidate& candidate = candidates[headed++];
    const Link link = table.First(candidate.hash);
    candidate.link = link.raw();
    if (link.valid()) [[likely]]
      PrefetchLine(&table.at(link.number()));
  };
  const size_t count = burst.count;
  for (size_t i = 0; i < count; ++i) {
    rte_mbuf* const mbuf = mbufs[i];
    const uint8_t* const frame = FrameOf(mbuf);
    if (mbuf->nb_segs != 1 || rte_pktmbuf_data_len(mbuf) < net::kCommonBytesV4) [[unlikely]]
      continue;
    const __m256i start = LoadAnywhere32(frame);
    const bool is_tcp = Begins<kV4>(start, tcp);
    if (!is_tcp && !Begins<kV4>(start, udp)) continue;
    const uint8_t protocol = is_tcp ? net::kProtocolTcp : net::kProtocolUdp;
    const uint8_t* const l4 = frame + kL4<kV4>;
    if (!IsMiddle(protocol, TcpFlagsOf(l4, protocol)) || !IsSound(mbuf, frame, protocol)) [[unlikely]]
      continue;
    // Of a VIP without translation.
    const VipKey<kV4> wanted(frame, protocol);
    const VipId vip = vip_of.FindEvenly(wanted.key, wanted.address, wanted.service);
    const fwd::FastPathVip* const entry = &vips[Choice(vip.valid())(vip.value(), 0)];
    if (vip.valid() & (entry->way != fwd::FastPathVip::Way::kSession)) continue;
    const uint64_t hash = is_tcp ? HashOf<kV4, net::kProtocolTcp>(frame + kSource<kV4>, keys)
                                 : HashOf<kV4, net::kProtocolUdp>(frame + kSource<kV4>, keys);
    table.Prefetch(hash);
    candidates[candidate_count++] = {.hash = hash, .link = 0, .place = static_cast<uint32_t>(i)};
    if (candidate_count > headed + kHeadsAhead) read_head();
  }
  while (headed < candidate_count) read_head();

  // One flow in five is the second of its chain: those are looked at again, when their next session is there.
  const LooksBySide of_tcp = LooksOf(net::kProtocolTcp);
  const LooksBySide of_udp = LooksOf(net::kProtocolUdp);
  Places taken = 0;
  while (candidate_count != 0) {
    size_t rest = 0;
    for (size_t k = 0; k < candidate_count; ++k) {
      const Candidate candidate = candidates[k];
      const Link link = Link::FromRaw(candidate.link);
      if (!link.valid()) continue;
      const lb::NatSession& session = table.at(link.number());
      const NatSide side = link.side();
      rte_mbuf* const mbuf = mbufs[candidate.place];
      const uint8_t* const frame = FrameOf(mbuf);
      const bool is_tcp = frame[kL3 + offsetof(net::Ipv4Header, protocol)] == net::kProtocolTcp;
      const Looks& looks = (is_tcp ? of_tcp : of_udp)[lb::IndexOf(side)];
      if (!HasEnds(session, side, frame) || !looks.Fit(session.tracking) || session.tracking.known_in != number)
          [[unlikely]] {
        const Link next = table.Next(link);
        if (!next.valid()) continue;
        PrefetchLine(&table.at(next.number()));
        candidates[rest++] = {.hash = candidate.hash, .link = next.raw(), .place = candidate.place};
        continue;
      }
      MakeRecord(burst.packets[candidate.place], mbuf, port, candidate.hash, session, link);
      taken |= Places{1} << candidate.place;
      // What the next passes read and write; of an answer not the last.
      PrefetchLine(&backends[session.backend.index()]);
      PrefetchLine(&vip_counters[session.vip.index()]);
      PrefetchLine(&backend_counters[session.backend.index()]);
    }
    candidate_count = rest;
  }
  return taken;
}

namespace {

// Since it was found: another packet of the burst may have ended it, or begun to.
bool IsAsBefore(const lb::NatSession& session, const Packet& packet) {
  const bool is_tcp = packet.headers.protocol == net::kProtocolTcp;
  const auto state = is_tcp ? lb::NatState::kEstablished : lb::NatState::kUdp;
  return session.use == packet.session_use && session.tracking.state == state;
}

// The backend is still the one that the session was made for, and takes what comes from this side.
bool Takes(const fwd::BackendEntry& backend, const lb::NatSession& session, NatSide side) {
  const uint64_t to_backend = Unguessed(1 - lb::IndexOf(side));
  const uint64_t is_down = backend.state == fwd::BackendState::kDown ? 1 : 0;
  return backend.generation == session.generation && backend.state != fwd::BackendState::kAbsent &&
         (is_down & to_backend) == 0;
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
    lb::NatTracking& tracking = session.tracking;
    const NatSide side = SideOf(packet);
    const size_t backend = session.backend.index();
    if (!IsAsBefore(session, packet) || backend >= backend_count || !Takes(backends[backend], session, side))
        [[unlikely]] {
      packet.session = lb::NatTable::kNone;
      packet.session_use = 0;
      packet.past = Past::kSessionLookup;
      break;
    }
    // The line is written once a second and at a change.
    if (tracking.last_seen_s != now_s) [[unlikely]]
      tracking.last_seen_s = now_s;
    if (packet.headers.protocol == net::kProtocolTcp) {
      const uint8_t* const tcp = FrameOf(packet) + kL4<kV4>;
      const uint32_t acknowledged = Load<Be32>(tcp + offsetof(net::TcpHeader, acknowledgement)).Host();
      uint32_t* const last = Choice(side == NatSide::kClient)(&tracking.client_ack, &tracking.backend_ack);
      if (*last != acknowledged) *last = acknowledged;
    }
    packet.vip = session.vip;
    packet.backend = session.backend;
    packet.rung = side == NatSide::kClient ? fwd::Rung::kConnectionTable : fwd::Rung::kNone;
    of_clients += 1 - lb::IndexOf(side);
    packet.past = Past::kKnownSelection;
  }
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Add(of_clients);
  return i;
}

namespace {

// What leaves has the other side's ends, the other way round: source and destination, and their ports, change places.
SLUICE_FAST_PATH inline __m128i Swapped(__m128i tuple) {
  return _mm_shuffle_epi8(tuple, _mm_setr_epi8(4, 5, 6, 7, 0, 1, 2, 3, 10, 11, 8, 9, 12, 13, 14, 15));
}

template <int part>
SLUICE_FAST_PATH inline uint32_t Part(__m128i block) {
  return static_cast<uint32_t>(_mm_extract_epi32(block, part));
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
  delta.Replace(Part<0>(before), Part<0>(after));
  delta.Replace(Part<1>(before), Part<1>(after));
  net::ChecksumDelta header = delta;
  // Of the word of TTL and protocol the first byte is one less.
  const auto hops = Load<uint16_t>(ip + offsetof(net::Ipv4Header, ttl));
  header.Replace(hops, static_cast<uint16_t>(hops - 1));
  Store(ip + offsetof(net::Ipv4Header, ttl), static_cast<uint16_t>(hops - 1));
  uint8_t* const ip_checksum = ip + offsetof(net::Ipv4Header, checksum);
  Store(ip_checksum, header.Apply(Load<uint16_t>(ip_checksum)));
  delta.Replace(Part<2>(before), Part<2>(after));
  if (protocol == net::kProtocolTcp) [[likely]] {
    uint8_t* const checksum = l4 + offsetof(net::TcpHeader, checksum);
    Store(checksum, delta.Apply(Load<uint16_t>(checksum)));
  } else {
    uint8_t* const checksum = l4 + offsetof(net::UdpHeader, checksum);
    Store(checksum, delta.ApplyToUdp(Load<uint16_t>(checksum)));
  }
}

// What CountForwarded does; of an answer, what CountReply does (fast_nat.cc).
inline void CountKnown(uint64_t bytes, const Choice& to_backend_or_not, fwd::VipCounters& vip,
                       fwd::BackendCounters& backend) {
  using Counters = fwd::VipCounters;
  static_assert(offsetof(Counters, bytes) == offsetof(Counters, packets) + sizeof(Counter) &&
                offsetof(Counters, reply_bytes) == offsetof(Counters, reply_packets) + sizeof(Counter));
  auto* const at = reinterpret_cast<uint8_t*>(&vip) +
                   to_backend_or_not(offsetof(Counters, packets), offsetof(Counters, reply_packets));
  CountInPlace(*reinterpret_cast<Counter*>(at), 1);
  CountInPlace(*reinterpret_cast<Counter*>(at + sizeof(Counter)), bytes);
  CountInPlace(backend.packets, to_backend_or_not(1, 0));
  CountInPlace(backend.bytes, to_backend_or_not(bytes, 0));
}

// Either begins with the Ethernet header of what leaves.
static_assert(offsetof(fwd::BackendEntry, ether) == 0 && offsetof(fwd::ClientHop, ether) == 0);

}  // namespace

SLUICE_FAST_PATH size_t SendKnown(Burst& burst, size_t first, StageEnv& env) {
  const lb::NatTable& table = env.tables->nat().table();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  const fwd::ClientRoutes& routes = *env.state->client_routes;
  const PortTraits* const ports = env.node->ports.data();
  fwd::VipCounters* const vip_counters = env.counters->vips.get();
  fwd::BackendCounters* const backend_counters = env.counters->backends.get();
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
    const NatSide side = SideOf(packet);
    // Which way it goes chooses between addresses, so that there is nothing to guess.
    const Choice choose(side == NatSide::kClient);
    const fwd::BackendEntry& backend = backends[packet.backend.index()];
    if (choose(backend.resolved ? 1 : 0, 1) == 0) [[unlikely]]
      continue;
    const fwd::ClientHop* const hop = routes.Named(static_cast<uint32_t>(choose(0, session.tracking.known_hop)));
    const auto* const line = choose(reinterpret_cast<const uint8_t*>(&backend), reinterpret_cast<const uint8_t*>(hop));
    const auto port = Load<PortId>(line + choose(offsetof(fwd::BackendEntry, port), offsetof(fwd::ClientHop, port)));
    const uint32_t bytes = packet.headers.ip_length;
    auto* const frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
    if (bytes > ports[port.index()].mtu_bytes || frame[kL3 + offsetof(net::Ipv4Header, ttl)] <= 1) [[unlikely]]
      continue;
    Translate(frame, packet.headers.protocol, session.TupleOf(lb::Other(side)));
    std::memcpy(frame, line, offsetof(net::EtherHeader, ether_type));
    packet.out_port = port;
    packet.fate = Fate::kForwarded;
    packet.past = Past::kAll;
    CountKnown(bytes, choose, vip_counters[packet.vip.index()], backend_counters[packet.backend.index()]);
    answers += lb::IndexOf(side);
  }
  env.counters->nat.replies.Add(answers);
  return i;
}

}  // namespace sluice::stage
