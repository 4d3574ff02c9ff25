#include "dataplane/stage/fast_path.h"

#include <immintrin.h>
#include <rte_mbuf.h>

#include <cstring>

#include "dataplane/lb/find_known.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/martian.h"
#include "dataplane/stage/outer_header.h"
#include "dataplane/stage/stages.h"
#include "dataplane/stage/tunnel_source.h"

namespace sluice::stage {
namespace {

using net::Family;
using net::Load;
using net::Store;
using Way = fwd::FastPathVip::Way;

constexpr size_t kL3 = sizeof(net::EtherHeader);

// The first 16 bytes of a frame end with the first two of the IP header.
struct FrameStart {
  __m128i wanted;
  __m128i mask;
};

// Frames to `mac` whose IP header begins with the bits of `version` that `version_mask` has.
__attribute__((target("sse4.1"))) FrameStart MakeFrameStart(const net::MacAddress& mac, uint16_t ether_type,
                                                            uint8_t version, uint8_t version_mask) {
  std::array<uint8_t, 16> wanted{};
  std::array<uint8_t, 16> mask{};
  std::memcpy(wanted.data(), mac.data(), sizeof(net::EtherHeader::destination));
  std::memset(mask.data(), 0xff, sizeof(net::EtherHeader::destination));
  Store(wanted.data() + offsetof(net::EtherHeader, ether_type), Be16::FromHost(ether_type));
  Store(mask.data() + offsetof(net::EtherHeader, ether_type), uint16_t{0xffff});
  wanted[kL3] = version;
  mask[kL3] = version_mask;
  return {.wanted = lb::LoadBlock(wanted.data()), .mask = lb::LoadBlock(mask.data())};
}

// What all packets of a burst are looked up with, read once.
struct Lookup {
  // Our own address is no group's, so this tells group frames too.
  FrameStart v4;
  FrameStart v6;
  lb::AesFlowKeys keys;
  const lb::VipTable* table;
  const fwd::FastPathVip* vips;
  // There is no address translation, so what is no VIP's is the host's.
  bool rest_is_host;
};

template <Family family>
bool ChecksumIsGood(const rte_mbuf* mbuf, const uint8_t* ip) {
  if constexpr (family == Family::kIpv6) return true;
  const uint64_t verdict = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
  if (verdict == RTE_MBUF_F_RX_IP_CKSUM_GOOD) return true;
  return verdict != RTE_MBUF_F_RX_IP_CKSUM_BAD && net::CommonIpv4ChecksumIsValid(ip);
}

// What the tables of VIPs know a packet's destination by.
template <Family family>
auto VipAddressAt(const uint8_t* address) {
  if constexpr (family == Family::kIpv4) {
    return lb::VipAddressV4{Load<uint32_t>(address)};
  } else {
    return lb::VipAddressV6{.high = Load<uint64_t>(address), .low = Load<uint64_t>(address + 8)};
  }
}

// The hash of FlowHashes, of a packet whose ports lie right behind its addresses.
template <Family family>
__attribute__((target("avx2,bmi,aes"))) inline uint64_t HashOf(const uint8_t* source, uint8_t protocol,
                                                               const lb::AesFlowKeys& keys) {
  if constexpr (family == Family::kIpv4) {
    // Both addresses and ports, and of a TCP header four bytes more, whose place the protocol takes.
    return lb::FlowHashV4(_mm_insert_epi32(lb::LoadBlock(source), protocol, 3), keys);
  } else {
    const auto ports = static_cast<int>(Load<uint32_t>(source + 32));
    return lb::FlowHashV6(source, source + 16, _mm_set_epi32(0, 0, protocol, ports), keys);
  }
}

// Fetches what ForwardOnFastPath will need of the packet.
template <Family family>
inline void Prefetch(const Packet& packet, const uint8_t* frame, const fwd::FastPathVip& vip, StageEnv& env) {
  // The line in front of the frame, where a tunnel's headers go: the buffer comes from a device, so none of its lines
  // is in this core's cache, and a store to a missing line would hold up those behind it.
  if (vip.mode != fwd::ForwardingMode::kL2) __builtin_prefetch(frame - 1, 1);
  if (vip.way == Way::kHash) {
    __builtin_prefetch(&vip.slots[lb::SlotOf(packet.flow_hash, vip.slot_count)]);
    __builtin_prefetch(&env.counters->vips[packet.vip.index()], 1);
  } else if (vip.way == Way::kTable) {
    if constexpr (family == Family::kIpv4) {
      env.tables->v4().table.Prefetch(packet.flow_hash);
    } else {
      env.tables->v6().table.Prefetch(packet.flow_hash);
    }
    __builtin_prefetch(&env.counters->vips[packet.vip.index()], 1);
  } else {
    PrefetchForSelection(packet, env);
  }
}

// A frame that begins as a common one does.
template <Family family>
__attribute__((target("avx2,bmi,aes"))) inline void LookUpFrame(Packet& packet, const uint8_t* frame,
                                                                const Lookup& lookup, StageEnv& env) {
  constexpr size_t kSource =
      kL3 + (family == Family::kIpv4 ? offsetof(net::Ipv4Header, source) : offsetof(net::Ipv6Header, source));
  constexpr size_t kDestination =
      kL3 + (family == Family::kIpv4 ? offsetof(net::Ipv4Header, destination) : offsetof(net::Ipv6Header, destination));
  const rte_mbuf* const mbuf = packet.mbuf;
  net::ParsedHeaders& headers = packet.headers;
  const uint8_t* const ip = frame + kL3;
  const uint32_t frame_length = rte_pktmbuf_data_len(mbuf);
  const bool known = family == Family::kIpv4 ? net::ParseCommonIpv4(ip, frame_length, headers)
                                             : net::ParseCommonIpv6(ip, frame_length, headers);
  if (!known || !ChecksumIsGood<family>(mbuf, ip)) return;
  packet.client_offset = kSource;
  packet.vip_offset = kDestination;
  // No tunnel is TCP.
  if (headers.protocol != net::kProtocolTcp && IsOwnTunnel(packet, *env.node)) return;
  const auto address = VipAddressAt<family>(frame + kDestination);
  VipId vip;
  bool may_have = true;
  if constexpr (family == Family::kIpv4) {
    const auto& exact = lookup.table->exact_v4();
    vip = exact.Find(address, headers.protocol, headers.destination_port);
    if (!vip.valid()) may_have = exact.MayHave(address);
    if (!vip.valid() && may_have) {
      vip = lookup.table->LookupV4(Be32::FromRaw(address.raw), headers.protocol, headers.destination_port);
    }
  } else {
    const auto& exact = lookup.table->exact_v6();
    vip = exact.Find(address, headers.protocol, headers.destination_port);
    if (!vip.valid()) may_have = exact.MayHave(address);
    if (!vip.valid() && may_have) {
      vip = lookup.table->LookupV6(frame + kDestination, headers.protocol, headers.destination_port);
    }
  }
  if (!vip.valid()) {
    if (!may_have && lookup.rest_is_host) packet.fate = Fate::kPunted;
    return;
  }
  if (lookup.vips[vip.index()].way == Way::kNone) return;
  if (IsMartian(family, frame + kSource, frame + kDestination)) return;
  packet.vip = vip;
  packet.flow_hash = HashOf<family>(frame + kSource, headers.protocol, lookup.keys);
  packet.past = Past::kLookup;
  Prefetch<family>(packet, frame, lookup.vips[vip.index()], env);
}

__attribute__((target("avx2,bmi,aes"))) inline bool Begins(__m128i start, const FrameStart& as) {
  return _mm_testz_si128(_mm_xor_si128(start, as.wanted), as.mask) != 0;
}

// The backend of a flow that goes on: its entry in the connection table, in a state that the packet does not change.
template <Family family>
__attribute__((target("avx2,bmi,aes"))) inline BackendId KnownBackend(const Packet& packet, const uint8_t* frame,
                                                                      StageEnv& env) {
  const net::ParsedHeaders& headers = packet.headers;
  // SYN, FIN and RST begin and end connections.
  if ((headers.tcp_flags & (net::kTcpSyn | net::kTcpFin | net::kTcpRst)) != 0) return BackendId();
  const lb::FlowState state = headers.protocol == net::kProtocolTcp ? lb::FlowState::kEstablished : lb::FlowState::kUdp;
  const uint8_t* const client = frame + packet.client_offset;
  const auto ports = Load<uint32_t>(frame + headers.l4_offset);
  lb::ConnectionValue* value = nullptr;
  if constexpr (family == Family::kIpv4) {
    auto* const entry = lb::FindKnown(env.tables->v4().table.FirstEntries(packet.flow_hash),
                                      Load<uint32_t>(client) | uint64_t{ports} << 32, packet.vip, state);
    if (entry != nullptr) value = &entry->value;
  } else {
    auto* const entry =
        lb::FindKnown(env.tables->v6().table.FirstEntries(packet.flow_hash), client, ports, packet.vip, state);
    if (entry != nullptr) value = &entry->value;
  }
  const fwd::BackendTable& backends = *env.state->backends;
  if (value == nullptr || !fwd::BackendExists(backends, *value) ||
      backends[value->backend.index()].state == fwd::BackendState::kDown) {
    return BackendId();
  }
  // The line is written once a second.
  if (value->last_seen_s != static_cast<uint16_t>(env.now_s)) value->last_seen_s = static_cast<uint16_t>(env.now_s);
  return value->backend;
}

// The frame's first bytes and the backend's line agree from here on: Ethernet header, then outer IP header.
static_assert(offsetof(fwd::BackendEntry, ether) == 0);
static_assert(offsetof(fwd::BackendEntry, outer) == sizeof(net::EtherHeader));

// Puts the packet into a tunnel whose outer header is of `family`: both headers are copied as one run from the
// backend's line, and what varies is written over it.
template <Family family>
__attribute__((target("avx2,bmi,aes"))) inline bool PutIntoTunnel(Packet& packet, const uint8_t* old_frame,
                                                                  const fwd::BackendEntry& backend,
                                                                  const StageEnv& env) {
  constexpr bool kV4 = family == Family::kIpv4;
  constexpr uint16_t kOverhead = OuterIpBytes(family);
  rte_mbuf* const mbuf = packet.mbuf;
  const PortTraits& port = env.node->ports[backend.port.index()];
  const bool from_prefix = kV4 ? env.node->tunnel_source_v4.enabled : env.node->tunnel_source_v6.enabled;
  const uint16_t ip_length = packet.headers.ip_length;
  if (!backend.has_source || from_prefix || uint32_t{ip_length} + kOverhead > port.mtu_bytes ||
      mbuf->data_off < kOverhead) {
    return false;
  }
  const uint8_t traffic_class = TrafficClassOf(old_frame + kL3, packet.headers.family);
  const uint8_t protocol = InnerProtocol(packet.headers.family);
  // Without the Ethernet padding, which would follow the inner packet into the tunnel.
  const auto frame_length = static_cast<uint16_t>(kL3 + kOverhead + ip_length);
  mbuf->data_off = static_cast<uint16_t>(mbuf->data_off - kOverhead);
  mbuf->data_len = frame_length;
  mbuf->pkt_len = frame_length;
  uint8_t* const frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
  uint8_t* const outer = frame + kL3;
  std::memcpy(frame, &backend, kL3 + kOverhead);
  if constexpr (kV4) {
    const auto length = Be16::FromHost(static_cast<uint16_t>(kOverhead + ip_length));
    uint16_t checksum = 0;
    if (port.tx_ipv4_checksum) {
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
    Store(outer, VersionClassFlow(traffic_class, packet.flow_hash));
    outer[offsetof(net::Ipv6Header, next_header)] = protocol;
    Store(outer + offsetof(net::Ipv6Header, payload_length), Be16::FromHost(ip_length));
  }
  return true;
}

// Sends a packet that has a backend. False: Rewrite has to.
__attribute__((target("avx2,bmi,aes"))) inline bool SendTo(const fwd::BackendEntry& backend, fwd::ForwardingMode mode,
                                                           Packet& packet, uint8_t* frame, const StageEnv& env) {
  // One that the backend's own station sent may have come back.
  const uint64_t stations_differ = Load<uint64_t>(frame + offsetof(net::EtherHeader, source)) ^
                                   Load<uint64_t>(reinterpret_cast<const uint8_t*>(&backend.ether.destination));
  if (!backend.resolved || stations_differ << 16 == 0) return false;
  if (mode == fwd::ForwardingMode::kIpip) {
    const bool put = backend.family == Family::kIpv4 ? PutIntoTunnel<Family::kIpv4>(packet, frame, backend, env)
                                                     : PutIntoTunnel<Family::kIpv6>(packet, frame, backend, env);
    if (!put) return false;
  } else if (mode == fwd::ForwardingMode::kL2) {
    const bool fits = packet.headers.ip_length <= env.node->ports[backend.port.index()].mtu_bytes;
    if (backend.family != packet.headers.family || !backend.on_link || !fits) return false;
    std::memcpy(frame, &backend.ether, offsetof(net::EtherHeader, ether_type));
  } else {
    return false;
  }
  packet.out_port = backend.port;
  packet.fate = Fate::kForwarded;
  packet.past = Past::kAll;
  return true;
}

}  // namespace

bool FastPathIsSupported() {
  static const bool supported =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("aes") != 0;
  return supported;
}

__attribute__((target("avx2,bmi,aes"))) size_t LookUpOnFastPath(Burst& burst, PortId port, StageEnv& env) {
  const net::MacAddress& mac = env.node->ports[port.index()].mac;
  const lb::LocalEnds& ends = env.tables->nat().setup().ends;
  const Lookup lookup = {.v4 = MakeFrameStart(mac, net::kEtherTypeIpv4, 0x45, 0xff),
                         .v6 = MakeFrameStart(mac, net::kEtherTypeIpv6, 0x60, 0xf0),
                         .keys = lb::LoadFlowKeys(*env.state->keys),
                         .table = env.state->vip_table.get(),
                         .vips = env.state->fast_path_vips->data(),
                         .rest_is_host = env.state->returns->empty() && ends.v4.count + ends.v6.count == 0};
  size_t left = 0;
  for (Packet& packet : burst) {
    const rte_mbuf* const mbuf = packet.mbuf;
    const auto* const frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    const uint32_t bytes = rte_pktmbuf_data_len(mbuf);
    if (mbuf->nb_segs == 1 && bytes >= net::kCommonBytesV4) [[likely]] {
      const __m128i start = lb::LoadBlock(frame);
      if (Begins(start, lookup.v4)) {
        LookUpFrame<Family::kIpv4>(packet, frame, lookup, env);
      } else if (bytes >= net::kCommonBytesV6 && Begins(start, lookup.v6)) {
        LookUpFrame<Family::kIpv6>(packet, frame, lookup, env);
      }
    }
    left += packet.past == Past::kNothing && packet.fate == Fate::kPending ? 1 : 0;
  }
  return left;
}

__attribute__((target("avx2,bmi,aes"))) PortId ForwardOnFastPath(Burst& burst, StageEnv& env) {
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::BackendEntry* const backends = env.state->backends->data();
  size_t by_table = 0;
  size_t by_hash = 0;
  PortId port;
  size_t sent = 0;
  bool one_port = true;
  for (Packet& packet : burst) {
    if (packet.past != Past::kLookup) {
      if (packet.fate == Fate::kPending) SelectBackendFor(packet, env);
      continue;
    }
    auto* const frame = rte_pktmbuf_mtod(packet.mbuf, uint8_t*);
    const fwd::FastPathVip& vip = vips[packet.vip.index()];
    if (vip.way == Way::kTable) {
      packet.backend = packet.headers.family == Family::kIpv4 ? KnownBackend<Family::kIpv4>(packet, frame, env)
                                                              : KnownBackend<Family::kIpv6>(packet, frame, env);
      if (packet.backend.valid()) {
        packet.rung = fwd::Rung::kConnectionTable;
        ++by_table;
      }
    } else if (vip.way == Way::kHash) {
      packet.backend = BackendId(vip.slots[lb::SlotOf(packet.flow_hash, vip.slot_count)]);
      packet.rung = fwd::Rung::kHashOnly;
      ++by_hash;
    }
    if (!packet.backend.valid()) {
      SelectBackendFor(packet, env);
      if (packet.fate != Fate::kPending) continue;
    }
    packet.past = Past::kSelection;
    const fwd::BackendEntry& backend = backends[packet.backend.index()];
    if (!SendTo(backend, vip.mode, packet, frame, env)) continue;
    CountForwarded(packet, *env.counters);
    one_port &= sent == 0 || port == backend.port;
    port = backend.port;
    ++sent;
  }
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Add(by_table);
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kHashOnly)].Add(by_hash);
  return one_port && sent == burst.count ? port : PortId();
}

}  // namespace sluice::stage
