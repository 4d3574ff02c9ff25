#include "dataplane/stage/fast_parse.h"

#include <immintrin.h>
#include <rte_mbuf.h>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/vip_table.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/eight_frames.h"
#include "dataplane/stage/fast_buffers.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/group_by_kind.h"
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
  if (protocol != net::kProtocolTcp && IsOwnSource<family>(frame + kSource<family>, *env.node)) return nullptr;

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
    const __m256i start = LoadAnywhere32(frame);
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

// What frames that are checked together are compared with, and what is made of them.
struct Alike {
  __m256i start;
  __m128i traits;
  bool sums_are_good;
  PortId port;
};

template <Family family, uint8_t protocol>
SLUICE_FAST_PATH inline Alike AlikeTo(const rte_mbuf* first, PortId port, const StageEnv& env) {
  return {.start = _mm256_or_si256(MacOf(env.node->ports[port.index()]), Load32(kStart<family, protocol>.data())),
          .traits = TraitsOf(first),
          .sums_are_good = (first->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD,
          .port = port};
}

template <Family family>
SLUICE_FAST_PATH inline bool BeginsAlike(const rte_mbuf* mbuf, const Alike& alike) {
  return rte_pktmbuf_data_len(mbuf) >= (family == Family::kIpv4 ? net::kCommonBytesV4 : net::kCommonBytesV6) &&
         Begins<family>(LoadAnywhere32(FrameOf(mbuf)), alike.start);
}
// Whether any can be of the eights that are as `first`: of IPv4 frames are looked at one by one unless the device calls
// sums good, or says nothing of them.
template <Family family>
SLUICE_FAST_PATH inline bool MayBeEights(const rte_mbuf* first, const Alike& alike) {
  const bool says_nothing = (first->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == 0;
  const bool sums_are_alike = family == Family::kIpv6 || says_nothing || alike.sums_are_good;
  return first->nb_segs == 1 && sums_are_alike && BeginsAlike<family>(first, alike);
}
template <Family family>
SLUICE_FAST_PATH inline bool IsAlike(const rte_mbuf* mbuf, const Alike& alike) {
  return _mm_testz_si128(_mm_xor_si128(TraitsOf(mbuf), alike.traits), TraitsThatMatter<family>()) != 0 &&
         BeginsAlike<family>(mbuf, alike);
}

// The frames from `first` on, or what stands in for them: whether they are of the eights, and what Parsed says of them.
// Makes the records that it says are made.
template <Family family, uint8_t protocol>
SLUICE_FAST_PATH __attribute__((always_inline)) inline void TakeEight(rte_mbuf* const* mbufs,
                                                                      const uint8_t* const* frames, __m128i lengths,
                                                                      size_t first, const Alike& alike,
                                                                      const VipFinder<family>& vips, Burst& burst,
                                                                      Parsed& parsed, const StageEnv& env) {
  constexpr bool kIsTcp = protocol == net::kProtocolTcp;
  Places good;
  if constexpr (family == Family::kIpv4) {
    good = CheckEight<protocol>(frames, lengths, alike.sums_are_good,
                                {.ip_bytes = &parsed.ip_bytes[first],
                                 .vip_keys = &parsed.vip_key[first],
                                 .changes = &parsed.changes[first],
                                 .tos_and_lengths = &parsed.tos_and_length[first]});
  } else {
    good = CheckEightV6<protocol>(frames, lengths, &parsed.ip_bytes[first]);
  }
  const __m256i in_port = InPort(alike.port);
  ForEight([&](auto i) SLUICE_FAST_PATH __attribute__((always_inline)) {
    if constexpr (family == Family::kIpv6 || !kIsTcp) {
      WriteRecordOfEight<family, protocol>(burst.packets[first + i], mbufs[first + i], frames[i],
                                           parsed.ip_bytes[first + i], in_port);
    }
    // No tunnel is TCP.
    if constexpr (!kIsTcp) {
      if (IsOwnSource<family>(frames[i] + kSource<family>, *env.node)) [[unlikely]]
        good &= ~(Places{1} << i);
    }
    // Of the others too, for which it is found again: any key has a slot.
    const uint64_t key = family == Family::kIpv4 ? parsed.vip_key[first + i] : VipKey<family>(frames[i], protocol).key;
    const void* const slot = vips.SlotOf(key);
    parsed.slot[first + i] = slot;
    PrefetchLine(slot);
  });
  parsed.EightsOf<family, protocol>() |= good << first;
}

// As TakeEight, where some are of another kind.
template <Family family, uint8_t protocol>
SLUICE_FAST_PATH void TakeSome(rte_mbuf* const* mbufs, size_t first, const Alike& alike, Burst& burst, Parsed& parsed,
                               const StageEnv& env) {
  __m128i lengths = _mm_setzero_si128();
  ForEight([&](auto i) SLUICE_FAST_PATH __attribute__((always_inline)) {
    const rte_mbuf* const mbuf = mbufs[first + i];
    constexpr auto kLane = static_cast<int>(LaneOf(i));
    lengths = _mm_insert_epi16(lengths, rte_pktmbuf_data_len(mbuf), kLane);
    parsed.frame[first + i] = IsAlike<family>(mbuf, alike) ? FrameOf(mbuf) : kNoFrame.data();
  });
  TakeEight<family, protocol>(mbufs, &parsed.frame[first], lengths, first, alike, VipFinderOf<family>(*env.state),
                              burst, parsed, env);
}

// The packets from `first` to `end`, eight or more, most of which are of the kind: eights of those that are as the
// first one.
template <Family family, uint8_t protocol>
SLUICE_FAST_PATH __attribute__((noinline)) void ParseSome(rte_mbuf* const* mbufs, size_t first, size_t end, PortId port,
                                                          Burst& burst, Parsed& parsed, const StageEnv& env) {
  const Alike alike = AlikeTo<family, protocol>(mbufs[first], port, env);
  if (!MayBeEights<family>(mbufs[first], alike)) return;
  for (; first + kEight <= end; first += kEight) TakeSome<family, protocol>(mbufs, first, alike, burst, parsed, env);
}

// A burst of which the first packets are parsed, up to `next`, and others follow: puts it into groups, and takes eights
// of each.
SLUICE_FAST_PATH __attribute__((noinline)) void GroupAndParse(rte_mbuf** mbufs, size_t next, PortId port, Burst& burst,
                                                              Parsed& parsed, const StageEnv& env) {
  const KindGroups groups = GroupByKind(mbufs, parsed.eights.tcp_v4 == 0 ? 0 : next, burst.count);
  const auto parse_from = [&]<Family family, uint8_t protocol>(size_t first, PacketKind kind) SLUICE_FAST_PATH {
    const size_t end = groups.end(kind);
    if (first + kEight <= end) ParseSome<family, protocol>(mbufs, first, end, port, burst, parsed, env);
  };
  const auto parse = [&]<Family family, uint8_t protocol>(PacketKind kind) SLUICE_FAST_PATH {
    size_t first = groups.begin(kind);
    Places& eights = parsed.EightsOf<family, protocol>();
    if (eights != 0 && first == 0) {
      first = next;
    } else {
      eights = 0;  // they are not where they were, and parsed once more
    }
    parse_from.template operator()<family, protocol>(first, kind);
  };
  parse_from.template operator()<Family::kIpv4, net::kProtocolTcp>(groups.begin(PacketKind::kTcpV4),
                                                                   PacketKind::kTcpV4);
  parse.template operator()<Family::kIpv4, net::kProtocolUdp>(PacketKind::kUdpV4);
  parse.template operator()<Family::kIpv6, net::kProtocolTcp>(PacketKind::kTcpV6);
  parse.template operator()<Family::kIpv6, net::kProtocolUdp>(PacketKind::kUdpV6);
}

// The packets from `first` on. In eights rather than in loops over the burst, so that the later frames have time to
// arrive. False: some are of another kind, and nothing is done yet.
template <Family family, uint8_t protocol>
SLUICE_FAST_PATH __attribute__((always_inline)) inline bool ParseEight(rte_mbuf* const* mbufs, size_t first,
                                                                       const Buffers::Eight& eight, const Alike& alike,
                                                                       const VipFinder<family>& vips, Burst& burst,
                                                                       Parsed& parsed, const StageEnv& env) {
  // None is read before all are known to be long enough.
  if (_mm_testz_si128(eight.unlike, TraitsThatMatter<family>()) == 0) [[unlikely]]
    return false;
  const EightConstants& constants = ReadEightConstants();
  const __m128i lengths = eight.lengths;
  const __m128i missing =
      _mm_subs_epu16(family == Family::kIpv4 ? constants.shortest_v4 : constants.shortest_v6, lengths);
  if (_mm_testz_si128(missing, missing) == 0) [[unlikely]]
    return false;
  // What is unlike in any of them is put together, for one branch.
  std::array<const uint8_t*, kEight> frames;
  __m256i unlike_start = _mm256_setzero_si256();
  ForEight([&](auto i) SLUICE_FAST_PATH __attribute__((always_inline)) {
    frames[i] = parsed.frame[first + i];
    unlike_start = _mm256_or_si256(unlike_start, XorAnywhere32(alike.start, frames[i]));
  });
  if (_mm256_testz_si256(unlike_start, Load32(kMask<family>.data())) == 0) [[unlikely]]
    return false;
  TakeEight<family, protocol>(mbufs, frames.data(), lengths, first, alike, vips, burst, parsed, env);
  return true;
}

// The packets one by one.
SLUICE_FAST_PATH __attribute__((noinline)) void ParseOthers(rte_mbuf* const* mbufs, PortId port, Burst& burst,
                                                            Parsed& parsed, const StageEnv& env) {
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
  const Places others = ~parsed.eights.all();
  for (size_t i = 0; i < burst.count; ++i) {
    if ((others >> i & 1) != 0) [[likely]]
      parsed.slot[i] = ParseAny(burst.packets[i], mbufs[i], port, kinds, env);
  }
}

// The burst's first packets, as long as all of the next eight are of the kind and alike. Returns the first that was not
// looked at.
template <Family family, uint8_t protocol>
SLUICE_FAST_PATH __attribute__((always_inline)) inline size_t ParseEights(rte_mbuf* const* mbufs, PortId port,
                                                                          const Buffers& buffers, Burst& burst,
                                                                          Parsed& parsed, const StageEnv& env) {
  const Alike alike = AlikeTo<family, protocol>(mbufs[0], port, env);
  if (!MayBeEights<family>(mbufs[0], alike)) return 0;
  const auto vips = VipFinderOf<family>(*env.state);
  const size_t end = burst.count / kEight * kEight;
  for (size_t next = 0; next != end; next += kEight) {
    // Or the compiler would keep an address for each array of Parsed, of which this kind has most.
    if constexpr (family == Family::kIpv4 && protocol == net::kProtocolTcp) asm("" : "+r"(next));
    if (!ParseEight<family, protocol>(mbufs, next, buffers.eights[next / kEight], alike, vips, burst, parsed, env))
        [[unlikely]]
      return next;
  }
  return end;
}

// The same of a burst that does not begin with TCP over IPv4. Not inline: registers are for that.
SLUICE_FAST_PATH __attribute__((noinline)) size_t ParseOtherEights(rte_mbuf* const* mbufs, PortId port,
                                                                   const Buffers& buffers, Burst& burst, Parsed& parsed,
                                                                   const StageEnv& env) {
  switch (KindOf(FrameOf(mbufs[0]), rte_pktmbuf_data_len(mbufs[0]))) {
    case PacketKind::kUdpV4:
      return ParseEights<Family::kIpv4, net::kProtocolUdp>(mbufs, port, buffers, burst, parsed, env);
    case PacketKind::kTcpV6:
      return ParseEights<Family::kIpv6, net::kProtocolTcp>(mbufs, port, buffers, burst, parsed, env);
    case PacketKind::kUdpV6:
      return ParseEights<Family::kIpv6, net::kProtocolUdp>(mbufs, port, buffers, burst, parsed, env);
    case PacketKind::kTcpV4:
    case PacketKind::kOther:
      break;
  }
  return 0;
}

}  // namespace

SLUICE_FAST_PATH void ParseOnFastPath(rte_mbuf** mbufs, PortId port, Burst& burst, Parsed& parsed,
                                      const StageEnv& env) {
  const size_t count = burst.count;
  Buffers buffers;
  parsed.frame_bytes = ReadBuffers(mbufs, count, env.state->reads_second_lines, parsed.frame.data(), buffers);
  parsed.same_headroom = _mm_testz_si128(buffers.unlike_any, HeadroomTraits()) != 0;
  static_assert(kLeastGrouped == kEight);
  if (count >= kEight) {
    size_t next = ParseEights<Family::kIpv4, net::kProtocolTcp>(mbufs, port, buffers, burst, parsed, env);
    if (next == 0) next = ParseOtherEights(mbufs, port, buffers, burst, parsed, env);
    if (next < count) [[unlikely]]
      GroupAndParse(mbufs, next, port, burst, parsed, env);
  }
  if (parsed.eights.all() != AllPlaces(count)) [[unlikely]]
    ParseOthers(mbufs, port, burst, parsed, env);
}

}  // namespace sluice::stage
