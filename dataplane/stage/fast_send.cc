#include <immintrin.h>
#include <rte_mbuf.h>

#include <algorithm>
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

// IP in IP: nothing between the outer and the inner IP header.
struct NoShim {
  static constexpr uint16_t bytes() { return 0; }
  static uint8_t Protocol(const Packet& packet) { return InnerProtocol(packet.headers.family); }
  void Write(uint8_t*, const Packet&, uint16_t) const {}
};

// GRE and GUE.
struct ModeShim {
  fwd::ForwardingMode mode;
  uint16_t gue_port;

  uint16_t bytes() const { return ShimBytes(mode); }
  uint8_t Protocol(const Packet& packet) const { return OuterProtocol(mode, packet.headers.family); }
  void Write(uint8_t* at, const Packet& packet, uint16_t payload_bytes) const {
    WriteShim(at, mode, gue_port, packet, payload_bytes);
  }
};

// Puts the packet into a tunnel whose outer header is of `family`: both headers are copied as one run from the
// backend's line, and what varies is written over it.
template <Family family, typename Shim>
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
  const uint8_t protocol = shim.Protocol(packet);
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
      checksum = CompleteChecksum(Load<uint16_t>(backend.outer.data() + offsetof(net::Ipv4Header, checksum)), length,
                                  traffic_class, protocol);
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
  shim.Write(frame + kHeaders, packet, static_cast<uint16_t>(payload_bytes));
  return true;
}

// GUE and GRE. Over IPv6 UDP has a checksum of the whole packet, which the stages make; and they name second backends.
SLUICE_FAST_PATH __attribute__((noinline)) bool PutIntoShimmedTunnel(Packet& packet, uint8_t* frame,
                                                                     const fwd::BackendEntry& backend,
                                                                     fwd::ForwardingMode mode, const WayOut& way,
                                                                     const StageEnv& env) {
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  const ModeShim shim = {.mode = mode, .gue_port = vip.gue_port};
  // The first: address translation.
  if (shim.bytes() == 0 || vip.second_chance || !backend.has_source) return false;
  if (backend.family == Family::kIpv4) return PutIntoTunnel<Family::kIpv4>(packet, frame, backend, way, shim);
  if (mode != fwd::ForwardingMode::kGre) return false;
  return PutIntoTunnel<Family::kIpv6>(packet, frame, backend, way, shim);
}

// Sends a packet that has a backend. False: Rewrite has to.
SLUICE_FAST_PATH inline bool SendTo(const fwd::BackendEntry& backend, fwd::ForwardingMode mode, Packet& packet,
                                    WayOut& way, const StageEnv& env) {
  // Read before the frame is written, which to the compiler may be where the backend's line is.
  const PortId port = backend.port;
  auto* const frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  // One that the backend's own station sent may have come back.
  const uint64_t stations_differ = Load<uint64_t>(frame + offsetof(net::EtherHeader, source)) ^
                                   Load<uint64_t>(reinterpret_cast<const uint8_t*>(&backend.ether.destination));
  if (stations_differ << 16 == 0) [[unlikely]]
    return false;
  if (mode == fwd::ForwardingMode::kIpip) [[likely]] {
    if (backend.tunnel == static_cast<uint8_t>(Family::kIpv4)) [[likely]] {
      way.Take(port);
      if (!PutIntoTunnel<Family::kIpv4>(packet, frame, backend, way, NoShim())) return false;
    } else {
      if (backend.tunnel == 0) return false;
      way.Take(port);
      if (!PutIntoTunnel<Family::kIpv6>(packet, frame, backend, way, NoShim())) return false;
    }
  } else {
    if (!backend.resolved) return false;
    way.Take(port);
    if (mode == fwd::ForwardingMode::kL2) {
      const bool fits = packet.headers.ip_length <= way.fits_l2;
      if (backend.family != packet.headers.family || !backend.on_link || !fits) return false;
      std::memcpy(frame, &backend.ether, offsetof(net::EtherHeader, ether_type));
    } else if (!PutIntoShimmedTunnel(packet, frame, backend, mode, way, env)) {
      return false;
    }
  }
  packet.out_port = port;
  packet.fate = Fate::kForwarded;
  packet.past = Past::kAll;
  return true;
}

}  // namespace

SLUICE_FAST_PATH PortId SendOnFastPath(Burst& burst, StageEnv& env) {
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  fwd::VipCounters* const vip_counters = env.counters->vips.get();
  fwd::BackendCounters* const backend_counters = env.counters->backends.get();
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
    if (!SendTo(backends[backend], vips[vip].mode, packet, way, env)) [[unlikely]]
      continue;
    CountForwarded(vip_counters[vip], backend_counters[backend], bytes);
    ++sent;
  }
  return sent == burst.count ? way.only() : PortId();
}

}  // namespace sluice::stage
