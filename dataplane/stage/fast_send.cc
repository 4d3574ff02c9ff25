#include <immintrin.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/fast_nat.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/fast_sessions.h"
#include "dataplane/stage/outer_header.h"
#include "dataplane/stage/wide.h"

// The fast path's third pass.
namespace sluice::stage {
namespace {

using net::Family;
using net::Load;
using net::Store;

// In 64 bits: g++ would take numbers of 32 to vector registers and back for their minimum.
constexpr uint64_t Without(uint64_t bytes, uint64_t header) { return bytes - std::min(bytes, header); }

// What leaves, and the port by which it does, which is nearly always that of the packet before, and what it takes.
class WayOut {
 public:
  explicit WayOut(const NodeTraits& node) : node_(node) {}

  // Learns what `port` takes.
  void Ask(PortId port) {
    if (port == asked_) [[likely]]
      return;
    asked_ = port;
    const PortTraits& traits = node_.ports[port.index()];
    fits_l2 = traits.mtu_bytes;
    // A tunnel whose source varies is made by the stages.
    fits_v4 = node_.tunnel_source_v4.enabled ? 0 : Without(fits_l2, OuterIpBytes(Family::kIpv4));
    fits_v6 = node_.tunnel_source_v6.enabled ? 0 : Without(fits_l2, OuterIpBytes(Family::kIpv6));
    device_sums = traits.tx_ipv4_checksum;
  }
  // Packets that are ready, with the bytes of their frames.
  void Add(PortId port, size_t packets, uint64_t bytes) {
    if (port != port_) [[unlikely]] {
      port_ = port;
      ++changes_;
    }
    packets_ += packets;
    bytes_ += bytes;
  }
  void Add(const Packet& packet) { Add(packet.out_port, 1, rte_pktmbuf_pkt_len(packet.mbuf)); }
  // Where they all leave, if they are so many.
  Sent Result(size_t packets) const {
    return changes_ == 1 && packets_ == packets ? Sent{.port = port_, .bytes = bytes_} : Sent();
  }

  // The longest IP packets that it takes: as they are, and in a tunnel of each family.
  uint64_t fits_l2 = 0, fits_v4 = 0, fits_v6 = 0;
  bool device_sums = false;

 private:
  const NodeTraits& node_;
  PortId asked_, port_;
  size_t changes_ = 0;
  size_t packets_ = 0;
  uint64_t bytes_ = 0;
};

// The frame's first bytes and the backend's line agree: Ethernet header, then outer IP header.
static_assert(offsetof(fwd::BackendEntry, ether) == 0);
static_assert(offsetof(fwd::BackendEntry, outer) == sizeof(net::EtherHeader));

// Whether the backend's own station may have sent the frame, which then has come back: the last four bytes of its
// address are the same. The stages compare all six.
inline bool MayHaveComeFrom(const fwd::BackendEntry& backend, const uint8_t* frame) {
  const auto* const line = reinterpret_cast<const uint8_t*>(&backend);
  return Load<uint32_t>(frame + offsetof(net::EtherHeader, source) + 2) ==
         Load<uint32_t>(line + offsetof(net::EtherHeader, destination) + 2);
}

// What GRE and GUE have between the outer and the inner IP header.
struct Shim {
  fwd::ForwardingMode mode;
  uint16_t gue_port;

  uint16_t bytes() const { return ShimBytes(mode); }
};

// Puts the packet into a tunnel of GRE or GUE whose outer header is of `family`: both headers are copied as one run
// from the backend's line, and what varies is written over it.
template <Family family>
SLUICE_FAST_PATH inline bool PutIntoTunnel(Packet& packet, uint8_t* old_frame, const fwd::BackendEntry& backend,
                                           const WayOut& way, const Shim& shim) {
  constexpr bool kV4 = family == Family::kIpv4;
  const uint32_t payload_bytes = uint32_t{packet.headers.ip_length} + shim.bytes();
  const auto overhead = static_cast<uint16_t>(OuterIpBytes(family) + shim.bytes());
  rte_mbuf* const mbuf = packet.mbuf;
  const uint16_t room = mbuf->data_off;
  if (payload_bytes > (kV4 ? way.fits_v4 : way.fits_v6) || room < overhead) [[unlikely]]
    return false;
  const uint8_t traffic_class = TrafficClassOf(old_frame + kL3, packet.headers.family);
  const uint8_t protocol = OuterProtocol(shim.mode, packet.headers.family);
  // Without the Ethernet padding, which would follow the inner packet into the tunnel.
  const uint32_t frame_length = kL3 + OuterIpBytes(family) + payload_bytes;
  mbuf->data_off = static_cast<uint16_t>(room - overhead);
  mbuf->data_len = static_cast<uint16_t>(frame_length);
  mbuf->pkt_len = frame_length;
  uint8_t* const frame = old_frame - overhead;
  uint8_t* const outer = frame + kL3;
  const auto* const line = reinterpret_cast<const uint8_t*>(&backend);
  constexpr size_t kHeaders = kL3 + OuterIpBytes(family);
  StoreAnywhere32(frame, LoadAligned32(line));
  if constexpr (kV4) {
    Store(frame + 32, Load<uint16_t>(line + 32));
    static_assert(kHeaders == 34);
    const auto length = Be16::FromHost(static_cast<uint16_t>(OuterIpBytes(family) + payload_bytes));
    uint16_t checksum = 0;
    if (way.device_sums) [[unlikely]] {
      LeaveChecksumToDevice(packet);
    } else {
      checksum = CompleteChecksum(backend.outer_sum(), length.Host(), traffic_class, protocol);
    }
    outer[offsetof(net::Ipv4Header, tos)] = traffic_class;
    Store(outer + offsetof(net::Ipv4Header, total_length), length);
    outer[offsetof(net::Ipv4Header, protocol)] = protocol;
    Store(outer + offsetof(net::Ipv4Header, checksum), checksum);
  } else {
    StoreAnywhere32(frame + kHeaders - 32, LoadAnywhere32(line + kHeaders - 32));
    Store(outer, VersionClassFlow(traffic_class, packet.flow_hash));
    outer[offsetof(net::Ipv6Header, next_header)] = protocol;
    Store(outer + offsetof(net::Ipv6Header, payload_length), Be16::FromHost(static_cast<uint16_t>(payload_bytes)));
  }
  WriteShim(frame + kHeaders, shim.mode, shim.gue_port, packet, static_cast<uint16_t>(payload_bytes));
  return true;
}

// GUE and GRE. Over IPv6 UDP has a checksum of the whole packet, which the stages make; and they name second backends.
SLUICE_FAST_PATH __attribute__((noinline)) bool PutIntoShimmedTunnel(Packet& packet, uint8_t* frame,
                                                                     const fwd::BackendEntry& backend,
                                                                     fwd::ForwardingMode mode, const WayOut& way,
                                                                     const StageEnv& env) {
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  const Shim shim = {.mode = mode, .gue_port = vip.gue_port};
  // The first: address translation.
  if (shim.bytes() == 0 || vip.second_chance || !backend.has_source) return false;
  if (backend.family == Family::kIpv4) return PutIntoTunnel<Family::kIpv4>(packet, frame, backend, way, shim);
  if (mode != fwd::ForwardingMode::kGre) return false;
  return PutIntoTunnel<Family::kIpv6>(packet, frame, backend, way, shim);
}

// Sends a packet that has a backend, other than by IP in IP. False: Rewrite has to.
SLUICE_FAST_PATH inline bool SendTo(const fwd::BackendEntry& backend, fwd::ForwardingMode mode, Packet& packet,
                                    WayOut& way, const StageEnv& env) {
  // Read before the frame is written, which to the compiler may be where the backend's line is.
  const PortId port = backend.port;
  auto* const frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  if (MayHaveComeFrom(backend, frame)) [[unlikely]]
    return false;
  if (!backend.resolved) return false;
  way.Ask(port);
  if (mode == fwd::ForwardingMode::kL2) {
    const bool fits = packet.headers.ip_length <= way.fits_l2;
    if (backend.family != packet.headers.family || !backend.on_link || !fits) return false;
    std::memcpy(frame, &backend.ether, offsetof(net::EtherHeader, ether_type));
  } else if (!PutIntoShimmedTunnel(packet, frame, backend, mode, way, env)) {
    return false;
  }
  MarkReady(packet, port);
  return true;
}

inline uint16_t PortAndTunnel(const fwd::BackendEntry& backend) {
  return Load<uint16_t>(reinterpret_cast<const uint8_t*>(&backend.port));
}

// What packets have in common that leave by one port in tunnels of one family, as nearly all of a burst do. Their own
// family is a parameter of the run's kind.
struct TunnelRun {
  uint16_t port_and_tunnel;
  uint64_t most_bytes;  // the longest IP packet that fits into the tunnel
};

// How far a run came: the first packet that does not go the way, and the bytes of the IP packets before it, as they
// came.
struct RunEnd {
  Packet* packet;
  uint64_t ip_bytes;
};

// Makes room, which there is, for headers in front of the IP packet, which begins at `old_frame` + kL3; what follows it
// in the frame is Ethernet padding, and left out.
inline uint8_t* MakeRoom(rte_mbuf* mbuf, uint8_t* old_frame, uint32_t bytes, uint64_t ip_bytes) {
  // In place: the compiler would keep what was read for the check, and there are no registers to spare.
  asm("subw %1, %0" : "+m"(mbuf->data_off) : "er"(static_cast<uint16_t>(bytes)));
  uint64_t frame_bytes = kL3 + bytes + ip_bytes;
  // Or the compiler would compute its lower half once more.
  asm("" : "+r"(frame_bytes));
  mbuf->data_len = static_cast<uint16_t>(frame_bytes);
  mbuf->pkt_len = static_cast<uint32_t>(frame_bytes);
  return old_frame - bytes;
}

// The start of a backend's line, in which the outer header has the protocol of IP in IP of its own family, with that of
// `inner`.
template <Family inner, Family outer>
SLUICE_FAST_PATH inline __m256i WithProtocol(__m256i start) {
  if constexpr (inner == outer) return start;
  constexpr size_t kAt =
      kL3 + (outer == Family::kIpv4 ? offsetof(net::Ipv4Header, protocol) : offsetof(net::Ipv6Header, next_header));
  alignas(32) static constexpr auto kChange = [] {
    std::array<uint8_t, sizeof(__m256i)> bytes{};
    bytes[kAt] = InnerProtocol(inner) ^ InnerProtocol(outer);
    return bytes;
  }();
  return _mm256_xor_si256(start, LoadAligned32(kChange.data()));
}

// TOS and total length of an outer IPv4 header, in host byte order, as checksums are summed: the length in the lower
// half of the first 32 bits, the TOS in the upper one. The others are nobody's.
template <Family inner>
SLUICE_FAST_PATH inline __m128i TosAndLength(const uint8_t* ip, uint64_t ip_bytes) {
  constexpr int kOverhead = OuterIpBytes(Family::kIpv4);
  if constexpr (inner == Family::kIpv4) {
    static_assert(offsetof(net::Ipv4Header, tos) == 1 && offsetof(net::Ipv4Header, total_length) == 2);
    const __m128i host_order = _mm_setr_epi8(3, 2, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i inner_ones = _mm_shuffle_epi8(_mm_cvtsi32_si128(Load<int32_t>(ip)), host_order);
    return _mm_add_epi32(inner_ones, _mm_set1_epi32(kOverhead));
  }
  return _mm_cvtsi32_si128(static_cast<int>(uint64_t{TrafficClassOf(ip, inner)} << 16 | (ip_bytes + kOverhead)));
}

// The outer header's checksum, in the upper half of the first 32 bits.
template <Family inner>
SLUICE_FAST_PATH inline __m128i ChecksumOf(const fwd::BackendEntry& backend, __m128i tos_and_length) {
  constexpr int kProtocolSum = InnerProtocol(inner) - InnerProtocol(Family::kIpv4);
  if constexpr (kProtocolSum != 0) tos_and_length = _mm_add_epi32(tos_and_length, _mm_set1_epi32(kProtocolSum));
  const uint8_t* const outer_sum = backend.outer.data() + fwd::BackendEntry::kOuterSum;
  const __m128i sum = _mm_add_epi32(tos_and_length, _mm_loadu_si128(reinterpret_cast<const __m128i*>(outer_sum)));
  const __m128i halves_swapped = _mm_shufflelo_epi16(sum, 0b10'11'00'01);
  return _mm_xor_si128(_mm_add_epi32(sum, halves_swapped), _mm_set1_epi32(-1));
}

// Writes Ethernet and outer IP header: what varies by packet is put into its places among the backend's line.
template <Family inner>
SLUICE_FAST_PATH inline void WriteHeadersV4(uint8_t* frame, const fwd::BackendEntry& backend, __m128i tos_and_length,
                                            __m128i checksum) {
  const auto* const line = reinterpret_cast<const uint8_t*>(&backend);
  const __m256i places = _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2,  //
                                          1, 0, -1, -1, -1, -1, -1, -1, 7, 6, -1, -1, -1, -1, -1, -1);
  const __m256i varying = _mm256_broadcastq_epi64(_mm_unpacklo_epi32(tos_and_length, checksum));
  const __m256i start = WithProtocol<inner, Family::kIpv4>(LoadAligned32(&backend));
  const auto end = Load<uint16_t>(line + sizeof(start));
  StoreAnywhere32(frame, _mm256_or_si256(start, _mm256_shuffle_epi8(varying, places)));
  Store(frame + sizeof(start), end);
}

// IP in IP.
template <Family inner, bool device_sums>
struct IpipV4 {
  static constexpr Family kInner = inner;
  static constexpr uint32_t kOverhead = OuterIpBytes(Family::kIpv4);
  SLUICE_FAST_PATH static void Put(Packet& packet, uint8_t* old_frame, const fwd::BackendEntry& backend,
                                   uint64_t ip_bytes) {
    uint8_t* const frame = MakeRoom(packet.mbuf, old_frame, kOverhead, ip_bytes);
    const __m128i tos_and_length = TosAndLength<inner>(old_frame + kL3, ip_bytes);
    __m128i checksum = _mm_setzero_si128();
    if constexpr (device_sums) {
      LeaveChecksumToDevice(packet);
    } else {
      checksum = ChecksumOf<inner>(backend, tos_and_length);
    }
    WriteHeadersV4<inner>(frame, backend, tos_and_length, checksum);
  }
};

// The traffic class where an Ipv6Header has it. Of IPv6 in place: taken out first it costs four instructions more.
template <Family inner>
uint32_t TrafficClassBitsOf(const uint8_t* ip) {
  if constexpr (inner == Family::kIpv6) return Load<Be32>(ip).Host() & 0x0ff0'0000;
  return uint32_t{TrafficClassOf(ip, inner)} << 20;
}

template <Family inner>
struct IpipV6 {
  static constexpr Family kInner = inner;
  static constexpr uint32_t kOverhead = OuterIpBytes(Family::kIpv6);
  SLUICE_FAST_PATH static void Put(Packet& packet, uint8_t* old_frame, const fwd::BackendEntry& backend,
                                   uint64_t ip_bytes) {
    uint8_t* const frame = MakeRoom(packet.mbuf, old_frame, kOverhead, ip_bytes);
    const uint32_t class_and_flow = TrafficClassBitsOf<inner>(old_frame + kL3) | FlowLabel(packet.flow_hash);
    const auto* const line = reinterpret_cast<const uint8_t*>(&backend);
    const __m256i places = _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 3, 2,  //
                                            1, 0, 5, 4, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i varying = _mm256_broadcastq_epi64(
        _mm_insert_epi32(_mm_cvtsi32_si128(static_cast<int>(class_and_flow)), static_cast<int>(ip_bytes), 1));
    const __m256i start = WithProtocol<inner, Family::kIpv6>(LoadAligned32(&backend));
    constexpr size_t kEnd = kL3 + kOverhead - sizeof(start);
    const __m256i end = LoadAnywhere32(line + kEnd);
    StoreAnywhere32(frame, _mm256_or_si256(start, _mm256_shuffle_epi8(varying, places)));
    StoreAnywhere32(frame + kEnd, end);
  }
};

// An index into tables whose elements have different multiples of `unit` bytes: scaled by one shift for all of them.
template <size_t unit>
class ScaledIndex {
 public:
  explicit ScaledIndex(size_t index) : offset_(index * unit) {
    // Or the compiler would shift anew for each table.
    asm("" : "+r"(offset_));
  }
  template <typename T>
  T& of(T* table) const {
    static_assert(sizeof(T) % unit == 0);
    return *reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(table) + offset_ * (sizeof(T) / unit));
  }

 private:
  size_t offset_;
};

// Sends the packets from `packet` on that go the way.
template <typename Kind>
SLUICE_FAST_PATH __attribute__((noinline)) RunEnd SendRun(Packet* packet, TunnelRun run, const StageEnv& env) {
  const uint16_t port_and_tunnel = run.port_and_tunnel;
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  fwd::VipCounters* const vip_counters = env.counters->vips.get();
  fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  uint64_t sent_bytes = 0;
  // SendOnFastPath has put an end behind the burst's last.
  for (;; ++packet) {
    if (packet->past != Past::kSelection) [[unlikely]]
      break;
    const ScaledIndex<sizeof(fwd::FastPathVip)> vip_index(packet->vip.index());
    const ScaledIndex<sizeof(fwd::BackendCounters)> backend_index(packet->backend.index());
    const fwd::FastPathVip& vip = vip_index.of(vips);
    const fwd::BackendEntry& backend = backend_index.of(backends);
    if (vip.mode != fwd::ForwardingMode::kIpip || vip.family != Kind::kInner ||
        PortAndTunnel(backend) != port_and_tunnel) [[unlikely]]
      break;
    rte_mbuf* const mbuf = packet->mbuf;
    const uint64_t bytes = packet->headers.ip_length;
    if (bytes > run.most_bytes || mbuf->data_off < Kind::kOverhead) [[unlikely]]
      break;
    auto* const frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
    if (MayHaveComeFrom(backend, frame)) [[unlikely]]
      break;
    Kind::Put(*packet, frame, backend, bytes);
    MarkReady(*packet, PortId(static_cast<PortId::rep>(port_and_tunnel)));
    CountForwarded(vip_index.of(vip_counters), backend_index.of(backend_counters), bytes);
    sent_bytes += bytes;
  }
  return {.packet = packet, .ip_bytes = sent_bytes};
}

// Sends the packets from `first` on that go into tunnels of IP in IP as the first one does, by its port, and are of its
// family. Returns the first that does not.
template <Family inner>
SLUICE_FAST_PATH inline RunEnd SendIpipRun(Packet* first, const fwd::BackendEntry& backend, const StageEnv& env) {
  const NodeTraits& node = *env.node;
  const PortTraits& port = node.ports[backend.port.index()];
  const TunnelRun run = {
      .port_and_tunnel = PortAndTunnel(backend),
      .most_bytes = Without(std::min<uint64_t>(port.mtu_bytes, UINT16_MAX), OuterIpBytes(backend.family))};
  // A tunnel whose source varies is made by the stages.
  const RunEnd none = {.packet = first, .ip_bytes = 0};
  if (backend.family == Family::kIpv6) {
    return node.tunnel_source_v6.enabled ? none : SendRun<IpipV6<inner>>(first, run, env);
  }
  if (node.tunnel_source_v4.enabled) return none;
  return port.tx_ipv4_checksum ? SendRun<IpipV4<inner, true>>(first, run, env)
                               : SendRun<IpipV4<inner, false>>(first, run, env);
}

}  // namespace

SLUICE_FAST_PATH Sent SendOnFastPath(Burst& burst, StageEnv& env) {
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  WayOut way(*env.node);
  // By what Rewrite does of an answer without a session, it may end sessions of packets behind.
  bool sessions_may_end = false;
  const size_t count = burst.count;
  burst.end()->past = Past::kNothing;  // where SendRun ends at the latest
  for (size_t i = 0; i < count; ++i) {
    Packet& packet = burst.packets[i];
    if (packet.past != Past::kSelection) [[unlikely]] {
      if (packet.past == Past::kKnownSelection && !sessions_may_end) {
        const size_t end = SendKnown(burst, i, env);
        for (; i < end; ++i) {
          if (burst.packets[i].past != Past::kAll) continue;
          way.Add(burst.packets[i]);
        }
        --i;
        continue;
      }
      if (packet.past != Past::kSessionSelection) {
        sessions_may_end |= packet.direction == Direction::kToClientStateless;
        continue;
      }
      if (sessions_may_end || !SendTranslated(packet, env)) continue;
      way.Add(packet);
      continue;
    }
    const fwd::BackendEntry& backend = backends[packet.backend.index()];
    const fwd::ForwardingMode mode = vips[packet.vip.index()].mode;
    if (mode == fwd::ForwardingMode::kIpip) [[likely]] {
      if (backend.tunnel == 0) continue;
      const auto [run_end, ip_bytes] = packet.headers.family == Family::kIpv4
                                           ? SendIpipRun<Family::kIpv4>(&packet, backend, env)
                                           : SendIpipRun<Family::kIpv6>(&packet, backend, env);
      const auto end = static_cast<size_t>(run_end - burst.begin());
      if (end == i) [[unlikely]]
        continue;
      way.Add(backend.port, end - i, ip_bytes + (end - i) * (kL3 + OuterIpBytes(backend.family)));
      i = end - 1;
      continue;
    }
    if (!SendTo(backend, mode, packet, way, env)) [[unlikely]]
      continue;
    CountForwarded(packet, *env.counters);
    way.Add(packet);
  }
  return way.Result(count);
}

}  // namespace sluice::stage
