#include "dataplane/stage/fast_parse.h"

#include <immintrin.h>
#include <rte_mbuf.h>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/vip_table.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/eight_frames.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/tunnel_source.h"

// The first half of the fast path's first pass.
namespace sluice::stage {
namespace {

using net::Family;

// What all frames of a burst are parsed with. Local to the loop and read once: see ExactVips::Finder.
struct Kinds {
  __m256i tcp_v4, udp_v4, tcp_v6, udp_v6;  // how frames to the station begin
  __m256i in_port;                         // of a record's second half, where kRecord has zero
  lb::ExactVips<lb::VipAddressV4>::Finder v4;
  lb::ExactVips<lb::VipAddressV6>::Finder v6;
};

// A frame that begins as one of the kind does. Its record is whole then, if the answer is not null, and else what
// InitPacket makes at least.
template <Family family, uint8_t protocol>
SLUICE_FAST_PATH __attribute__((always_inline)) inline const void* ParseFrameOf(Packet& packet, rte_mbuf* mbuf,
                                                                                const uint8_t* frame, uint32_t bytes,
                                                                                const Kinds& kinds,
                                                                                const StageEnv& env) {
  WriteRecord<family, protocol>(packet, mbuf, frame, kinds.in_port);
  const uint8_t* const ip = frame + kL3;
  const uint8_t* const l4 = frame + kL4<family>;
  const uint32_t ip_bytes = net::CommonIpBytes(family, ip);
  // The shortest packet of the kind is in the frame; what is stated is as long as that, and not longer than the frame,
  // which has no more bytes than 16 bits can tell.
  constexpr uint32_t kShortest = kIpBytes<family> + net::ShortestL4(protocol);
  const uint32_t beyond = ip_bytes - kShortest;
  if (beyond > bytes - kL3 - kShortest || !net::CommonL4Fits(l4, protocol, beyond)) return nullptr;
  if (!ChecksumIsGood<family>(mbuf, ip)) return nullptr;
  packet.headers.ip_length = static_cast<uint16_t>(ip_bytes);
  // No tunnel is TCP.
  if (protocol != net::kProtocolTcp && IsOwnTunnel(packet, *env.node)) return nullptr;

  const uint64_t key = VipKey<family>(frame, protocol).key;
  const void* const slot = family == Family::kIpv4 ? kinds.v4.SlotOf(key) : kinds.v6.SlotOf(key);
  PrefetchLine(slot);
  return slot;
}

// Any frame.
SLUICE_FAST_PATH __attribute__((always_inline)) inline const void* ParseAny(Packet& packet, rte_mbuf* mbuf, PortId port,
                                                                            const Kinds& kinds, const StageEnv& env) {
  const auto* const frame = FrameOf(mbuf);
  const uint32_t bytes = rte_pktmbuf_data_len(mbuf);
  if (mbuf->nb_segs == 1 && bytes >= net::kCommonBytesV4) [[likely]] {
    const __m256i start = LoadStart(frame);
    if (Begins<Family::kIpv4>(start, kinds.tcp_v4)) [[likely]]
      return ParseFrameOf<Family::kIpv4, net::kProtocolTcp>(packet, mbuf, frame, bytes, kinds, env);
    if (Begins<Family::kIpv4>(start, kinds.udp_v4))
      return ParseFrameOf<Family::kIpv4, net::kProtocolUdp>(packet, mbuf, frame, bytes, kinds, env);
    if (bytes >= net::kCommonBytesV6 && Begins<Family::kIpv6>(start, kinds.tcp_v6))
      return ParseFrameOf<Family::kIpv6, net::kProtocolTcp>(packet, mbuf, frame, bytes, kinds, env);
    if (bytes >= net::kCommonBytesV6 && Begins<Family::kIpv6>(start, kinds.udp_v6))
      return ParseFrameOf<Family::kIpv6, net::kProtocolUdp>(packet, mbuf, frame, bytes, kinds, env);
  }
  InitPacket(packet, mbuf, port);
  return nullptr;
}

// Whether the frame may be checked with seven others.
SLUICE_FAST_PATH inline bool MayBeOfEight(const rte_mbuf* mbuf, __m256i tcp_v4) {
  return mbuf->nb_segs == 1 && rte_pktmbuf_data_len(mbuf) >= net::kCommonBytesV4 &&
         Begins<Family::kIpv4>(LoadStart(FrameOf(mbuf)), tcp_v4);
}

// The packets from `first` on: whether they are of Parsed::eights, and what it says of them. In eights rather than in
// loops over the burst, so that the later frames have time to arrive.
SLUICE_FAST_PATH __attribute__((always_inline)) inline void ParseEight(
    rte_mbuf* const* mbufs, size_t first, __m256i tcp_v4, const lb::ExactVips<lb::VipAddressV4>::Finder& vips,
    Parsed& parsed) {
  // Stored in parts and loaded whole, which stalls once for all eight: less than gathering them takes (row hash).
  alignas(32) std::array<uint32_t, kEight> bytes;
  uint64_t any_flags = 0, all_flags = ~uint64_t{0};
#pragma GCC unroll 2
  for (size_t i = first; i < first + kEight; ++i) {
    const rte_mbuf* const mbuf = mbufs[i];
    bytes[i - first] = rte_pktmbuf_data_len(mbuf);
    if (!MayBeOfEight(mbuf, tcp_v4)) [[unlikely]] {
      parsed.frame[i] = kNoFrame.data();
      continue;
    }
    parsed.frame[i] = FrameOf(mbuf);
    any_flags |= mbuf->ol_flags;
    all_flags &= mbuf->ol_flags;
  }
  const uint64_t verdicts = any_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
  const bool sums_are_good = verdicts == RTE_MBUF_F_RX_IP_CKSUM_GOOD && (all_flags & verdicts) != 0;
  // Unless the device calls all sums good, or says nothing of any, frames are looked at one by one.
  if (verdicts != 0 && !sums_are_good) return;
  parsed.eights |=
      CheckEight(&parsed.frame[first], bytes.data(), sums_are_good, &parsed.ip_bytes[first], &parsed.vip_key[first])
      << first;
#pragma GCC unroll 2
  for (size_t i = first; i < first + kEight; ++i) {
    // Of the others too, for which it is found again: any key has a slot.
    parsed.slot[i] = vips.SlotOf(parsed.vip_key[i]);
    PrefetchLine(parsed.slot[i]);
  }
}

}  // namespace

SLUICE_FAST_PATH void ParseOnFastPath(rte_mbuf* const* mbufs, PortId port, Places places, Burst& burst, Parsed& parsed,
                                      const StageEnv& env) {
  const lb::VipTable& table = *env.state->vip_table;
  const __m256i mac = MacOf(env.node->ports[port.index()]);
  const auto start_of = [mac](const FrameStart& start)
                            SLUICE_FAST_PATH { return _mm256_or_si256(mac, Load32(start.data())); };
  const Kinds kinds = {.tcp_v4 = start_of(kStart<Family::kIpv4, net::kProtocolTcp>),
                       .udp_v4 = start_of(kStart<Family::kIpv4, net::kProtocolUdp>),
                       .tcp_v6 = start_of(kStart<Family::kIpv6, net::kProtocolTcp>),
                       .udp_v6 = start_of(kStart<Family::kIpv6, net::kProtocolUdp>),
                       .in_port = InPort(port),
                       .v4 = table.exact_v4().finder(),
                       .v6 = table.exact_v6().finder()};
  const size_t count = burst.count;
  // A burst whose first packet is of another kind has hardly eight of this.
  if (count >= kEight && places == AllPlaces(count) && MayBeOfEight(mbufs[0], kinds.tcp_v4)) {
    for (size_t i = 0; i + kEight <= count; i += kEight) ParseEight(mbufs, i, kinds.tcp_v4, kinds.v4, parsed);
  }
  if (parsed.eights == AllPlaces(count)) [[likely]]
    return;
  const Places others = places & ~parsed.eights;
  for (size_t i = 0; i < count; ++i) {
    if ((others >> i & 1) != 0) [[likely]] {
      parsed.slot[i] = ParseAny(burst.packets[i], mbufs[i], port, kinds, env);
    } else if ((places >> i & 1) == 0) {
      parsed.slot[i] = nullptr;
    }
  }
}

}  // namespace sluice::stage
