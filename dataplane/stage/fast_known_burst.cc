#include <immintrin.h>
#include <rte_mbuf.h>

#include <array>
#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_known.h"
#include "dataplane/stage/fast_translate.h"

// Bursts of which each packet's session is known: nearly all where address translation is all that is done. Nothing in
// the burst ends a session or begins one, so the record is made once, as the third pass would leave it.
namespace sluice::stage {
namespace {

using lb::NatSide;
using net::Family;
using net::Load;
using net::Store;

// Records of packets from either side that are ready.
template <Family family>
constexpr std::array<Packet, 2> MakeReadyRecords() {
  std::array<Packet, 2> records = kSideRecords<family>;
  for (Packet& record : records) {
    record.past = Past::kAll;
    record.fate = Fate::kForwarded;
  }
  records[lb::IndexOf(NatSide::kClient)].rung = fwd::Rung::kConnectionTable;
  return records;
}
template <Family family>
alignas(64) constexpr std::array<Packet, 2> kReadyRecords = MakeReadyRecords<family>();

// But for protocol and TCP flags.
template <Family family>
SLUICE_FAST_PATH inline void MakeReady(Packet& packet, __m256i in_port, const uint8_t* frame, uint32_t ip_bytes,
                                       const FoundSession& found, uint32_t number) {
  static_assert(offsetof(Packet, client_offset) >= sizeof(__m256i) && offsetof(Packet, vip_offset) >= sizeof(__m256i) &&
                    offsetof(Packet, direction) >= sizeof(__m256i) && offsetof(Packet, rung) >= sizeof(__m256i),
                "the first halves of both sides' records are the same");
  // Read before the record is written, which to the compiler may be where any of it is.
  static_assert(offsetof(Packet, backend) == offsetof(Packet, vip) + 2 &&
                offsetof(lb::NatSession, backend) == offsetof(lb::NatSession, vip) + 2);
  const auto* const session = reinterpret_cast<const uint8_t*>(found.session);
  const auto vip_and_backend = Load<uint32_t>(session + offsetof(lb::NatSession, vip));
  const uint8_t use = found.session->use;
  const auto l4_ports = Load<uint32_t>(frame + kL4<family>);
  const __m256i first_half = Load32(&kReadyRecords<family>[0]);
  const __m256i second_half = Load32(reinterpret_cast<const uint8_t*>(&kReadyRecords<family>[found.side]) + 32);
  auto* const at = reinterpret_cast<uint8_t*>(&packet);
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), first_half);
  _mm256_store_si256(reinterpret_cast<__m256i*>(at + 32), _mm256_or_si256(second_half, in_port));
  packet.headers.ip_length = static_cast<uint16_t>(ip_bytes);
  StorePorts(packet, l4_ports);
  Store(at + offsetof(Packet, vip), vip_and_backend);
  packet.session = number;
  packet.session_use = use;
}

}  // namespace

template <Family family>
SLUICE_FAST_PATH Sent SendKnownBurst(rte_mbuf* const* mbufs, PortId port, const Parsed& parsed,
                                     const KnownSessions& known, Burst& burst, StageEnv& env) {
  const fwd::BackendEntry* const backends = env.state->backends->data();
  const size_t backend_count = env.state->backends->size();
  const fwd::ClientRoutes& routes = *env.state->client_routes;
  const auto sessions = env.tables->nat().table().finder();
  const __m256i in_port = InPort(port);
  const uint32_t now_s = env.now_s;
  const size_t count = burst.count;
  std::array<const uint8_t*, kBurstSize> ethers;
  PortId out_port;
  uint32_t most_bytes = 0;
  // Before any byte of a packet is changed.
  for (size_t i = 0; i < count; ++i) {
    const FoundSession found = known.found[i];
    const auto [session, side] = found;
    const uint8_t* const frame = parsed.frame[i];
    const size_t index = session->backend.index();
    if (index >= backend_count) [[unlikely]]
      return {};
    const fwd::BackendEntry& backend = backends[index];
    if (!Takes(backend, *session, side) || !KnowsStation(backend, side)) [[unlikely]]
      return {};
    const Egress egress = EgressOf(*session, side, backend, routes);
    if (egress.port != out_port) [[unlikely]] {
      if (i != 0) return {};
      out_port = egress.port;
      most_bytes = env.node->ports[out_port.index()].mtu_bytes;
    }
    const uint32_t ip_bytes = parsed.ip_bytes[i];
    if (ip_bytes > most_bytes || !HasHopLeft<family>(frame)) [[unlikely]]
      return {};
    ethers[i] = egress.ether;
    const uint8_t protocol = session->tracking.protocol;
    Note(session->tracking, side, protocol, frame + kL4<family>, now_s);
    Packet& packet = burst.packets[i];
    MakeReady<family>(packet, in_port, frame, ip_bytes, found, sessions.NumberOf(session));
    packet.mbuf = mbufs[i];
    packet.flow_hash = known.hashes[i];
    packet.out_port = out_port;
    if (protocol == net::kProtocolTcp) [[likely]] {
      packet.headers.tcp_flags = TcpFlagsOf(frame + kL4<family>, net::kProtocolTcp);
    } else {
      packet.headers.protocol = protocol;
    }
  }

  fwd::VipCounters* const vip_counters = env.counters->vips.get();
  fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  fwd::BackendCounters nobody;
  uint64_t answers = 0;
  uint64_t frame_bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto [session, side] = known.found[i];
    auto* const frame = rte_pktmbuf_mtod(mbufs[i], uint8_t*);
    const uint64_t ip_bytes = parsed.ip_bytes[i];
    frame_bytes += rte_pktmbuf_pkt_len(mbufs[i]);
    answers += side;
    TranslateKnown<family>(frame, *session, side);
    std::memcpy(frame, ethers[i], offsetof(net::EtherHeader, ether_type));
    CountTranslated(ip_bytes, side, vip_counters[session->vip.index()], backend_counters[session->backend.index()],
                    nobody);
  }
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Add(count - answers);
  env.counters->nat.replies.Add(answers);
  return {.port = out_port, .bytes = frame_bytes};
}

template SLUICE_FAST_PATH Sent SendKnownBurst<Family::kIpv4>(rte_mbuf* const*, PortId, const Parsed&,
                                                             const KnownSessions&, Burst&, StageEnv&);
template SLUICE_FAST_PATH Sent SendKnownBurst<Family::kIpv6>(rte_mbuf* const*, PortId, const Parsed&,
                                                             const KnownSessions&, Burst&, StageEnv&);

}  // namespace sluice::stage
