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

// The fast path's third pass.
namespace sluice::stage {
namespace {

using net::Family;
using net::Load;
using net::Store;

// The port by which packets leave, which is nearly always that of the packet before, and what it takes.
class WayOut {
 public:
  explicit WayOut(const NodeTraits& node) : node_(node) {}

  void Take(PortId port) {
    if (port == port_) [[likely]]
      return;
    port_ = port;
    ++changes_;
    const PortTraits& traits = node_.ports[port.index()];
    fits_l2 = traits.mtu_bytes;
    // A tunnel whose source varies is made by the stages.
    fits_v4 = node_.tunnel_source_v4.enabled ? 0 : Without(fits_l2, OuterIpBytes(Family::kIpv4));
    fits_v6 = node_.tunnel_source_v6.enabled ? 0 : Without(fits_l2, OuterIpBytes(Family::kIpv6));
    device_sums = traits.tx_ipv4_checksum;
  }
  // The port, if it was but one.
  PortId only() const { return changes_ == 1 ? port_ : PortId(); }

  // The longest IP packets that it takes: as they are, and in a tunnel of each family.
  uint32_t fits_l2 = 0, fits_v4 = 0, fits_v6 = 0;
  bool device_sums = false;

 private:
  static uint32_t Without(uint32_t bytes, uint32_t header) { return bytes - std::min(bytes, header); }

  const NodeTraits& node_;
  PortId port_;
  size_t changes_ = 0;
};

// The frame's first bytes and the backend's line agree: Ethernet header, then outer IP header.
static_assert(offsetof(fwd::BackendEntry, ether) == 0);
static_assert(offsetof(fwd::BackendEntry, outer) == sizeof(net::EtherHeader));

// Two halves: g++ splits an unaligned copy of 32 bytes, and puts it together and takes it apart again in between.
SLUICE_FAST_PATH inline void Copy32(uint8_t* to, const uint8_t* from) {
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + sizeof(low)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), low);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to + sizeof(low)), high);
}

// Whether the backend's own station sent the frame: it has come back.
inline bool CameFrom(const fwd::BackendEntry& backend, const uint8_t* frame) {
  const uint64_t stations_differ = Load<uint64_t>(frame + offsetof(net::EtherHeader, source)) ^
                                   Load<uint64_t>(reinterpret_cast<const uint8_t*>(&backend.ether.destination));
  return stations_differ << 16 == 0;
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
  Copy32(frame, line);
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
    Copy32(frame + kHeaders - 32, line + kHeaders - 32);
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
  if (CameFrom(backend, frame)) [[unlikely]]
    return false;
  if (!backend.resolved) return false;
  way.Take(port);
  if (mode == fwd::ForwardingMode::kL2) {
    const bool fits = packet.headers.ip_length <= way.fits_l2;
    if (backend.family != packet.headers.family || !backend.on_link || !fits) return false;
    std::memcpy(frame, &backend.ether, offsetof(net::EtherHeader, ether_type));
  } else if (!PutIntoShimmedTunnel(packet, frame, backend, mode, way, env)) {
    return false;
  }
  packet.out_port = port;
  packet.fate = Fate::kForwarded;
  packet.past = Past::kAll;
  return true;
}

// What all packets are sent with. SendRun reads it anew for each packet, as operands of instructions that it has
// anyway: it has more to keep in registers than there are.
struct Tables {
  const fwd::FastPathVip* vips;
  const fwd::BackendEntry* backends;
  fwd::VipCounters* vip_counters;
  fwd::BackendCounters* backend_counters;
};

inline uint16_t PortAndTunnel(const fwd::BackendEntry& backend) {
  return Load<uint16_t>(reinterpret_cast<const uint8_t*>(&backend.port));
}

// What packets have in common that leave by one port in tunnels of one family, as nearly all of a burst do. Their own
// family is a parameter of the run's kind.
struct TunnelRun {
  uint16_t port_and_tunnel;
  uint32_t most_bytes;  // the longest IP packet that the port takes
};

SLUICE_FAST_PATH inline __m128i Load16(const uint8_t* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
SLUICE_FAST_PATH inline void Store16(uint8_t* at, __m128i bytes) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), bytes);
}

// Makes room for headers in front of the IP packet, which begins at `old_frame` + kL3; what follows it in the frame is
// Ethernet padding, and left out. Null: there is none.
inline uint8_t* MakeRoom(const Packet& packet, uint8_t* old_frame, uint32_t bytes, uint32_t ip_bytes) {
  rte_mbuf* const mbuf = packet.mbuf;
  uint16_t offset;
  if (__builtin_sub_overflow(mbuf->data_off, bytes, &offset)) [[unlikely]]
    return nullptr;
  uint32_t frame_bytes = kL3 + bytes + ip_bytes;
  // Or the compiler would compute its lower half once more.
  asm("" : "+r"(frame_bytes));
  mbuf->data_off = offset;
  mbuf->data_len = static_cast<uint16_t>(frame_bytes);
  mbuf->pkt_len = frame_bytes;
  return old_frame - bytes;
}

// The outer header, which in the backend's line has the protocol of IP in IP of its own family, with that of `inner`.
template <Family inner, Family outer>
SLUICE_FAST_PATH inline __m128i WithProtocol(__m128i header) {
  if constexpr (inner == outer) return header;
  constexpr size_t kAt =
      outer == Family::kIpv4 ? offsetof(net::Ipv4Header, protocol) : offsetof(net::Ipv6Header, next_header);
  alignas(16) static constexpr auto kChange = [] {
    std::array<uint8_t, sizeof(__m128i)> bytes{};
    bytes[kAt] = InnerProtocol(inner) ^ InnerProtocol(outer);
    return bytes;
  }();
  return _mm_xor_si128(header, Load16(kChange.data()));
}

// Writes Ethernet and outer IP header: what varies by packet is put into its places among the backend's line.
template <Family inner>
SLUICE_FAST_PATH inline void WriteHeadersV4(uint8_t* frame, const fwd::BackendEntry& backend, uint32_t tos_and_length,
                                            uint32_t checksum) {
  const auto* const line = reinterpret_cast<const uint8_t*>(&backend);
  const __m128i places = _mm_setr_epi8(-1, 2, 1, 0, -1, -1, -1, -1, -1, -1, 7, 6, -1, -1, -1, -1);
  const __m128i varying =
      _mm_insert_epi32(_mm_cvtsi32_si128(static_cast<int>(tos_and_length)), static_cast<int>(checksum), 1);
  const __m128i start = Load16(line);
  const __m128i header =
      _mm_or_si128(WithProtocol<inner, Family::kIpv4>(Load16(line + kL3)), _mm_shuffle_epi8(varying, places));
  const auto destination = Load<uint32_t>(line + kL3 + offsetof(net::Ipv4Header, destination));
  Store16(frame, start);
  Store16(frame + kL3, header);
  Store(frame + kL3 + offsetof(net::Ipv4Header, destination), destination);
}

// IP in IP.
template <Family inner, bool device_sums>
struct IpipV4 {
  SLUICE_FAST_PATH bool Put(Packet& packet, uint8_t* old_frame, const fwd::BackendEntry& backend, const TunnelRun& run,
                            uint32_t ip_bytes) const {
    constexpr uint32_t kOverhead = OuterIpBytes(Family::kIpv4);
    const uint32_t total_bytes = ip_bytes + kOverhead;
    if (packet.headers.family != inner || total_bytes > run.most_bytes) [[unlikely]]
      return false;
    uint8_t* const frame = MakeRoom(packet, old_frame, kOverhead, ip_bytes);
    if (frame == nullptr) [[unlikely]]
      return false;
    const uint32_t tos_and_length = uint32_t{TrafficClassOf(old_frame + kL3, inner)} << 16 | total_bytes;
    uint32_t checksum = 0;
    if constexpr (device_sums) {
      LeaveChecksumToDevice(packet);
    } else {
      constexpr uint32_t kProtocolSum = InnerProtocol(inner) - InnerProtocol(Family::kIpv4);
      const uint32_t sum = backend.outer_sum() + kProtocolSum + tos_and_length;
      checksum = ~(sum + std::rotl(sum, 16));
    }
    WriteHeadersV4<inner>(frame, backend, tos_and_length, checksum);
    return true;
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
  SLUICE_FAST_PATH bool Put(Packet& packet, uint8_t* old_frame, const fwd::BackendEntry& backend, const TunnelRun& run,
                            uint32_t ip_bytes) const {
    constexpr uint32_t kOverhead = OuterIpBytes(Family::kIpv6);
    const uint32_t payload_bytes = ip_bytes;
    if (packet.headers.family != inner || payload_bytes + kOverhead > run.most_bytes) [[unlikely]]
      return false;
    uint8_t* const frame = MakeRoom(packet, old_frame, kOverhead, ip_bytes);
    if (frame == nullptr) [[unlikely]]
      return false;
    const uint32_t class_and_flow = TrafficClassBitsOf<inner>(old_frame + kL3) | FlowLabel(packet.flow_hash);
    const auto* const line = reinterpret_cast<const uint8_t*>(&backend);
    const __m128i places = _mm_setr_epi8(3, 2, 1, 0, 5, 4, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i varying =
        _mm_insert_epi32(_mm_cvtsi32_si128(static_cast<int>(class_and_flow)), static_cast<int>(payload_bytes), 1);
    const __m128i header =
        _mm_or_si128(WithProtocol<inner, Family::kIpv6>(Load16(line + kL3)), _mm_shuffle_epi8(varying, places));
    const __m128i start = Load16(line);
    const __m128i middle = Load16(line + 30);
    const __m128i end = Load16(line + 38);
    Store16(frame, start);
    Store16(frame + kL3, header);
    Store16(frame + 30, middle);
    Store16(frame + 38, end);
    return true;
  }
};

// Sends the packets from `first` on that go the way. Returns the first that does not.
template <typename Kind>
SLUICE_FAST_PATH __attribute__((noinline)) size_t SendRun(Burst& burst, size_t first, const TunnelRun& run,
                                                          const Tables& tables, Kind kind) {
  const Packet* const end = burst.end();
  Packet* packet = &burst.packets[first];
  const uint16_t port_and_tunnel = run.port_and_tunnel;
  const auto port_and_fate = static_cast<uint16_t>((port_and_tunnel & 0xff) | static_cast<int>(Fate::kForwarded) << 8);
  for (; packet != end; ++packet) {
    if (packet->past != Past::kSelection) [[unlikely]]
      break;
    const size_t vip = packet->vip.index();
    const fwd::BackendEntry& backend = tables.backends[packet->backend.index()];
    if (tables.vips[vip].mode != fwd::ForwardingMode::kIpip || PortAndTunnel(backend) != port_and_tunnel) [[unlikely]]
      break;
    auto* const frame = rte_pktmbuf_mtod(packet->mbuf, uint8_t*);
    if (CameFrom(backend, frame)) [[unlikely]]
      break;
    const uint32_t bytes = packet->headers.ip_length;
    fwd::BackendCounters& backend_counters = tables.backend_counters[packet->backend.index()];
    if (!kind.Put(*packet, frame, backend, run, bytes)) [[unlikely]]
      break;
    static_assert(offsetof(Packet, fate) == offsetof(Packet, out_port) + 1 && sizeof(PortId) == 1 && sizeof(Fate) == 1);
    Store(reinterpret_cast<uint8_t*>(packet) + offsetof(Packet, out_port), port_and_fate);
    packet->past = Past::kAll;
    CountForwarded(tables.vip_counters[vip], backend_counters, bytes);
  }
  return static_cast<size_t>(packet - burst.begin());
}

// Sends the packets from `first` on that go into tunnels of IP in IP as the first one does, by its port, and are of its
// family. Returns the first that does not.
template <Family inner>
SLUICE_FAST_PATH inline size_t SendIpipRun(Burst& burst, size_t first, const Tables& tables, const NodeTraits& node) {
  const fwd::BackendEntry& backend = tables.backends[burst.packets[first].backend.index()];
  const PortTraits& port = node.ports[backend.port.index()];
  const TunnelRun run = {.port_and_tunnel = PortAndTunnel(backend),
                         .most_bytes = std::min<uint32_t>(port.mtu_bytes, UINT16_MAX)};
  // A tunnel whose source varies is made by the stages.
  if (backend.family == Family::kIpv6) {
    return node.tunnel_source_v6.enabled ? first : SendRun(burst, first, run, tables, IpipV6<inner>());
  }
  if (node.tunnel_source_v4.enabled) return first;
  return port.tx_ipv4_checksum ? SendRun(burst, first, run, tables, IpipV4<inner, true>())
                               : SendRun(burst, first, run, tables, IpipV4<inner, false>());
}

}  // namespace

SLUICE_FAST_PATH PortId SendOnFastPath(Burst& burst, StageEnv& env) {
  const Tables tables = {.vips = env.state->fast_path_vips->data(),
                         .backends = env.state->backends->data(),
                         .vip_counters = env.counters->vips.get(),
                         .backend_counters = env.counters->backends.get()};
  WayOut way(*env.node);
  size_t sent = 0;
  // By what Rewrite does of an answer without a session, it may end sessions of packets behind.
  bool sessions_may_end = false;
  const size_t count = burst.count;
  for (size_t i = 0; i < count; ++i) {
    Packet& packet = burst.packets[i];
    if (packet.past != Past::kSelection) [[unlikely]] {
      if (packet.past == Past::kKnownSelection && !sessions_may_end) {
        const size_t end = SendKnown(burst, i, env);
        for (; i < end; ++i) {
          if (burst.packets[i].past != Past::kAll) continue;
          way.Take(burst.packets[i].out_port);
          ++sent;
        }
        --i;
        continue;
      }
      if (packet.past != Past::kSessionSelection) {
        sessions_may_end |= packet.direction == Direction::kToClientStateless;
        continue;
      }
      if (sessions_may_end || !SendTranslated(packet, env)) continue;
      way.Take(packet.out_port);
      ++sent;
      continue;
    }
    const size_t vip = packet.vip.index();
    const size_t backend = packet.backend.index();
    const uint64_t bytes = packet.headers.ip_length;
    const fwd::ForwardingMode mode = tables.vips[vip].mode;
    if (mode == fwd::ForwardingMode::kIpip) [[likely]] {
      if (tables.backends[backend].tunnel == 0) continue;
      const size_t end = packet.headers.family == Family::kIpv4
                             ? SendIpipRun<Family::kIpv4>(burst, i, tables, *env.node)
                             : SendIpipRun<Family::kIpv6>(burst, i, tables, *env.node);
      if (end == i) [[unlikely]]
        continue;
      way.Take(tables.backends[backend].port);
      sent += end - i;
      i = end - 1;
      continue;
    }
    if (!SendTo(tables.backends[backend], mode, packet, way, env)) [[unlikely]]
      continue;
    CountForwarded(tables.vip_counters[vip], tables.backend_counters[backend], bytes);
    ++sent;
  }
  return sent == burst.count ? way.only() : PortId();
}

}  // namespace sluice::stage
