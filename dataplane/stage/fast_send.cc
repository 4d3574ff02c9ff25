#include <rte_mbuf.h>

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/fast_nat.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/fast_send_run.h"
#include "dataplane/stage/fast_sessions.h"
#include "dataplane/stage/outer_header.h"
#include "dataplane/stage/wide.h"
#include "dataplane/stage/wide_sum.h"

// The fast path's third pass.
namespace sluice::stage {
namespace {

using net::Family;
using net::Load;
using net::Store;

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
    // A tunnel whose source varies is made by the stages.
    fits_v4 = node_.tunnel_source_v4.enabled ? 0 : Without(traits.mtu_bytes, OuterIpBytes(Family::kIpv4));
    fits_v6 = node_.tunnel_source_v6.enabled ? 0 : Without(traits.mtu_bytes, OuterIpBytes(Family::kIpv6));
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

  // The longest IP packets that it takes in a tunnel of each family.
  uint64_t fits_v4 = 0, fits_v6 = 0;
  bool device_sums = false;

 private:
  const NodeTraits& node_;
  PortId asked_, port_;
  size_t changes_ = 0;
  size_t packets_ = 0;
  uint64_t bytes_ = 0;
};

// What GRE and GUE have between the outer and the inner IP header.
struct Shim {
  fwd::ForwardingMode mode;
  uint16_t gue_port;

  uint16_t bytes() const { return ShimBytes(mode); }
};

// What FillUdpChecksumV6 does (encapsulate.cc). `addresses`: the outer ones, both. `shim_sum`: of WriteShim.
SLUICE_FAST_PATH inline uint16_t UdpChecksumV6(const uint8_t* addresses, uint16_t udp_bytes, uint64_t shim_sum,
                                               const uint8_t* inner, size_t inner_bytes) {
  net::ChecksumDelta sum;
  sum.Add(SumOf(LoadAnywhere32(addresses)) + SumOf(inner, inner_bytes) + shim_sum + Be16::FromHost(udp_bytes).raw() +
          Be16::FromHost(net::kProtocolUdp).raw());
  const uint16_t checksum = sum.Apply(0xffff);
  return checksum == 0 ? uint16_t{0xffff} : checksum;
}

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
      LeaveChecksumToDevice(packet.mbuf, packet.headers.l3_offset);
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
  uint8_t* const shim_at = frame + kHeaders;
  const auto udp_bytes = static_cast<uint16_t>(payload_bytes);
  const uint64_t shim_sum = WriteShim(shim_at, shim.mode, shim.gue_port, packet, udp_bytes);
  if (!kV4 && protocol == net::kProtocolUdp) {
    Store(shim_at + offsetof(net::UdpHeader, checksum),
          UdpChecksumV6(line + kL3 + offsetof(net::Ipv6Header, source), udp_bytes, shim_sum, old_frame + kL3,
                        packet.headers.ip_length));
  }
  return true;
}

// GUE and GRE. The stages name second backends.
SLUICE_FAST_PATH __attribute__((noinline)) bool PutIntoShimmedTunnel(Packet& packet, uint8_t* frame,
                                                                     const fwd::BackendEntry& backend,
                                                                     fwd::ForwardingMode mode, const WayOut& way,
                                                                     const StageEnv& env) {
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  const Shim shim = {.mode = mode, .gue_port = vip.gue_port};
  // The first: address translation.
  if (shim.bytes() == 0 || vip.second_chance || !backend.has_source) return false;
  if (backend.family == Family::kIpv4) return PutIntoTunnel<Family::kIpv4>(packet, frame, backend, way, shim);
  return PutIntoTunnel<Family::kIpv6>(packet, frame, backend, way, shim);
}

// Sends a packet that has a backend, other than by L2 and IP in IP. False: Rewrite has to.
SLUICE_FAST_PATH inline bool SendTo(const fwd::BackendEntry& backend, fwd::ForwardingMode mode, Packet& packet,
                                    WayOut& way, const StageEnv& env) {
  // Read before the frame is written, which to the compiler may be where the backend's line is.
  const PortId port = backend.port;
  auto* const frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
  if (MayHaveComeFrom(backend, frame)) [[unlikely]]
    return false;
  if (!backend.resolved) return false;
  way.Ask(port);
  if (!PutIntoShimmedTunnel(packet, frame, backend, mode, way, env)) return false;
  MarkReady(packet, port);
  return true;
}

}  // namespace

SLUICE_FAST_PATH Sent SendOnFastPath(Burst& burst, StageEnv& env) {
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  WayOut way(*env.node);
  // By what Rewrite does of an answer without a session, it may end sessions of packets behind.
  bool sessions_may_end = false;
  const size_t count = burst.count;
  burst.end()->past = Past::kNothing;  // where SendRunBy ends at the latest
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
    if (mode == fwd::ForwardingMode::kIpip || mode == fwd::ForwardingMode::kL2) [[likely]] {
      const auto [run_end, bytes] = SendRunBy(mode, &packet, backend, env);
      const auto end = static_cast<size_t>(run_end - burst.begin());
      if (end == i) [[unlikely]]
        continue;
      way.Add(backend.port, end - i, bytes);
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
