#include "dataplane/stage/fast_send_run.h"

#include <immintrin.h>
#include <rte_mbuf.h>

#include <cstring>

#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/fast_outer_v4.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/outer_header.h"
#include "dataplane/stage/wide.h"

namespace sluice::stage {
namespace {

using net::Family;
using net::Load;

// What packets have in common that leave by one port for stations, or in tunnels of one family. Their own family is a
// parameter of the run's kind.
struct Run {
  uint64_t alike;       // what the lines of all backends have: the port in the lowest byte, and more
  uint64_t most_bytes;  // the longest IP packet that can go so
};

// Makes room, which there is, for headers in front of the IP packet, which begins at `old_frame` + kL3.
inline uint8_t* MakeRoom(rte_mbuf* mbuf, uint8_t* old_frame, uint32_t bytes, uint64_t ip_bytes) {
  // In place: the compiler would keep what was read for the check, and there are no registers to spare.
  asm("subw %1, %0" : "+m"(mbuf->data_off) : "er"(static_cast<uint16_t>(bytes)));
  SetFrameBytes(mbuf, bytes, ip_bytes);
  return old_frame - bytes;
}

// Without a tunnel: to the backend's station.
template <Family family>
struct Plain {
  static constexpr auto kMode = fwd::ForwardingMode::kL2;
  static constexpr Family kInner = family;
  static constexpr uint32_t kOverhead = 0;
  // Port, family, and whether the address is on a link and known.
  static uint64_t Alike(const fwd::BackendEntry& backend) {
    constexpr size_t kLast = sizeof(fwd::BackendEntry) - sizeof(uint64_t);
    constexpr size_t kPort = offsetof(fwd::BackendEntry, port);
    constexpr size_t kFamily = offsetof(fwd::BackendEntry, family);
    static_assert(kPort >= kLast && kFamily + 2 == sizeof(fwd::BackendEntry), "flags follow the family");
    constexpr uint64_t kFamilyAndFlags = 0xff | 0b11 << 8;  // the first two
    constexpr uint64_t kMask = 0xff | kFamilyAndFlags << 8 * (kFamily - kPort);
    return Load<uint64_t>(reinterpret_cast<const uint8_t*>(&backend) + kLast) >> 8 * (kPort - kLast) & kMask;
  }
  static void Put(Packet&, uint8_t* frame, const fwd::BackendEntry& backend, uint64_t) {
    std::memcpy(frame, &backend.ether, offsetof(net::EtherHeader, ether_type));
  }
};

// IP in IP.
struct Ipip {
  static constexpr auto kMode = fwd::ForwardingMode::kIpip;
  static uint16_t Alike(const fwd::BackendEntry& backend) { return PortAndTunnelOf(backend); }
};

template <Family inner, bool device_sums>
struct IpipV4 : Ipip {
  static constexpr Family kInner = inner;
  static constexpr uint32_t kOverhead = OuterIpBytes(Family::kIpv4);
  SLUICE_FAST_PATH static void Put(Packet& packet, uint8_t* old_frame, const fwd::BackendEntry& backend,
                                   uint64_t ip_bytes) {
    uint8_t* const frame = MakeRoom(packet.mbuf, old_frame, kOverhead, ip_bytes);
    WriteHeadersV4<inner, device_sums>(packet.mbuf, frame, backend, TosAndLength<inner>(old_frame + kL3, ip_bytes));
  }
};

// The traffic class where an Ipv6Header has it. Of IPv6 in place: taken out first it costs four instructions more.
template <Family inner>
uint32_t TrafficClassBitsOf(const uint8_t* ip) {
  if constexpr (inner == Family::kIpv6) return Load<Be32>(ip).Host() & 0x0ff0'0000;
  return uint32_t{TrafficClassOf(ip, inner)} << 20;
}

template <Family inner>
struct IpipV6 : Ipip {
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

// Sends the packets from `packet` on that go the way.
template <typename Kind>
SLUICE_FAST_PATH __attribute__((noinline)) RunEnd SendRun(Packet* packet, Run run, const StageEnv& env) {
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  fwd::VipCounters* const vip_counters = env.counters->vips.get();
  fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  uint64_t sent_bytes = 0;
  const Packet* const first = packet;
  // As narrow as it is: then it is compared in memory.
  const auto alike = static_cast<decltype(Kind::Alike(*backends))>(run.alike);
  // SendOnFastPath has put an end behind the burst's last.
  for (;; ++packet) {
    if (packet->past != Past::kSelection) [[unlikely]]
      break;
    const VipIndex vip_index(packet->vip.index());
    const BackendIndex backend_index(packet->backend.index());
    const fwd::FastPathVip& vip = vip_index.of(vips);
    const fwd::BackendEntry& backend = backend_index.of(backends);
    if (vip.mode != Kind::kMode || vip.family != Kind::kInner || Kind::Alike(backend) != alike) [[unlikely]]
      break;
    rte_mbuf* const mbuf = packet->mbuf;
    const uint64_t bytes = packet->headers.ip_length;
    if (bytes > run.most_bytes) [[unlikely]]
      break;
    if constexpr (Kind::kOverhead != 0) {
      if (mbuf->data_off < Kind::kOverhead) [[unlikely]]
        break;
    }
    auto* const frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
    if (MayHaveComeFrom(backend, frame)) [[unlikely]]
      break;
    Kind::Put(*packet, frame, backend, bytes);
    MarkReady(*packet, PortId(static_cast<PortId::rep>(alike)));
    CountForwarded(vip_index.of(vip_counters), backend_index.of(backend_counters), bytes);
    // Without a tunnel the frame keeps its padding.
    sent_bytes += Kind::kOverhead != 0 ? bytes : rte_pktmbuf_pkt_len(mbuf);
  }
  if constexpr (Kind::kOverhead != 0) sent_bytes += static_cast<size_t>(packet - first) * (kL3 + Kind::kOverhead);
  return {.packet = packet, .bytes = sent_bytes};
}

// Sends the packets from `first` on that go to stations by its port, and are of its family. Returns the first that does
// not.
template <Family family>
SLUICE_FAST_PATH inline RunEnd SendPlainRun(Packet* first, const fwd::BackendEntry& backend, const StageEnv& env) {
  if (!backend.resolved || !backend.on_link || backend.family != family) return {.packet = first, .bytes = 0};
  const Run run = {.alike = Plain<family>::Alike(backend),
                   .most_bytes = env.node->ports[backend.port.index()].mtu_bytes};
  return SendRun<Plain<family>>(first, run, env);
}

// Sends the packets from `first` on that go into tunnels of IP in IP as the first one does, by its port, and are of its
// family. Returns the first that does not.
template <Family inner>
SLUICE_FAST_PATH inline RunEnd SendIpipRun(Packet* first, const fwd::BackendEntry& backend, const StageEnv& env) {
  const RunEnd none = {.packet = first, .bytes = 0};
  if (backend.tunnel == 0) return none;  // it may have no port, too
  const NodeTraits& node = *env.node;
  const PortTraits& port = node.ports[backend.port.index()];
  const Run run = {.alike = Ipip::Alike(backend), .most_bytes = MostBytesInTunnel(port, backend.family)};
  // A tunnel whose source varies is made by the stages.
  if (backend.family == Family::kIpv6) {
    return node.tunnel_source_v6.enabled ? none : SendRun<IpipV6<inner>>(first, run, env);
  }
  if (node.tunnel_source_v4.enabled) return none;
  return port.tx_ipv4_checksum ? SendRun<IpipV4<inner, true>>(first, run, env)
                               : SendRun<IpipV4<inner, false>>(first, run, env);
}

}  // namespace

SLUICE_FAST_PATH RunEnd SendRunBy(fwd::ForwardingMode mode, Packet* first, const fwd::BackendEntry& backend,
                                  const StageEnv& env) {
  const bool v4 = first->headers.family == Family::kIpv4;
  if (mode == fwd::ForwardingMode::kL2) {
    return v4 ? SendPlainRun<Family::kIpv4>(first, backend, env) : SendPlainRun<Family::kIpv6>(first, backend, env);
  }
  return v4 ? SendIpipRun<Family::kIpv4>(first, backend, env) : SendIpipRun<Family::kIpv6>(first, backend, env);
}

}  // namespace sluice::stage
