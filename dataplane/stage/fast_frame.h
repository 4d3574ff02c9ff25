#ifndef SLUICE_DATAPLANE_STAGE_FAST_FRAME_H_
#define SLUICE_DATAPLANE_STAGE_FAST_FRAME_H_

#include <immintrin.h>
#include <rte_mbuf.h>

#include <array>

#include "dataplane/lb/exact_vips.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/wide.h"

// What the fast path's look-ups see in a frame.
namespace sluice::stage {

// The first 32 bytes of a frame tell its kind at once: whole TCP or UDP behind an IP header without options. The
// station's address is put in front later; it is no group's, so this tells group frames too.
using FrameStart = std::array<uint8_t, 32>;

constexpr FrameStart StartOf(net::Family family, uint8_t protocol) {
  const bool v4 = family == net::Family::kIpv4;
  FrameStart start{};
  start[offsetof(net::EtherHeader, ether_type)] =
      static_cast<uint8_t>((v4 ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6) >> 8);
  start[offsetof(net::EtherHeader, ether_type) + 1] =
      static_cast<uint8_t>(v4 ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6);
  start[kL3] = v4 ? 0x45 : 0x60;
  start[kL3 + (v4 ? offsetof(net::Ipv4Header, protocol) : offsetof(net::Ipv6Header, next_header))] = protocol;
  return start;
}

constexpr FrameStart MaskOf(net::Family family) {
  const bool v4 = family == net::Family::kIpv4;
  FrameStart mask{};
  for (size_t i = 0; i < sizeof(net::EtherHeader::destination); ++i) mask[i] = 0xff;
  mask[offsetof(net::EtherHeader, ether_type)] = mask[offsetof(net::EtherHeader, ether_type) + 1] = 0xff;
  mask[kL3] = v4 ? 0xff : 0xf0;
  mask[kL3 + (v4 ? offsetof(net::Ipv4Header, protocol) : offsetof(net::Ipv6Header, next_header))] = 0xff;
  if (v4) {
    constexpr uint16_t kFragmented = net::kIpv4MoreFragments | net::kIpv4FragmentOffsetMask;
    mask[kL3 + offsetof(net::Ipv4Header, fragment)] = static_cast<uint8_t>(kFragmented >> 8);
    mask[kL3 + offsetof(net::Ipv4Header, fragment) + 1] = static_cast<uint8_t>(kFragmented);
  }
  return mask;
}

template <net::Family family, uint8_t protocol>
alignas(32) inline constexpr FrameStart kStart = StartOf(family, protocol);
template <net::Family family>
alignas(32) inline constexpr FrameStart kMask = MaskOf(family);

// The record of a frame of a kind, but for what varies from packet to packet.
constexpr Packet MakeRecord(net::Family family, uint8_t protocol) {
  Packet packet{};
  InitPacket(packet, nullptr, PortId(0));
  packet.punt_class = PuntClass::kControl;
  net::SetCommonHeaders(family,
                        family == net::Family::kIpv4 ? kIpBytes<net::Family::kIpv4> : kIpBytes<net::Family::kIpv6>, 0,
                        packet.headers);
  packet.headers.protocol = protocol;
  packet.client_offset = family == net::Family::kIpv4 ? kSource<net::Family::kIpv4> : kSource<net::Family::kIpv6>;
  packet.vip_offset =
      family == net::Family::kIpv4 ? kDestination<net::Family::kIpv4> : kDestination<net::Family::kIpv6>;
  return packet;
}
template <net::Family family, uint8_t protocol>
inline constexpr Packet kRecord = MakeRecord(family, protocol);

// The port by which packets came, in the place that it has in a record's second half, where kRecord has zero.
SLUICE_FAST_PATH inline __m256i InPort(PortId port) {
  constexpr size_t kAt = offsetof(Packet, in_port) - 32;
  static_assert(kAt < 16 && sizeof(PortId) == 1);
  return _mm256_zextsi128_si256(_mm_insert_epi8(_mm_setzero_si128(), static_cast<int>(port.value()), kAt));
}

SLUICE_FAST_PATH inline __m256i Load32(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }

template <net::Family family>
SLUICE_FAST_PATH inline bool Begins(__m256i frame, __m256i wanted) {
  return _mm256_testz_si256(_mm256_xor_si256(frame, wanted), Load32(kMask<family>.data())) != 0;
}

// A frame's start: the station's address, then zeros. Put together in registers: stored in parts and loaded whole, it
// would stall on store forwarding, for as long as half a packet takes.
SLUICE_FAST_PATH inline __m256i MacOf(const PortTraits& port) {
  static_assert(sizeof(net::EtherHeader::destination) == sizeof(uint32_t) + sizeof(uint16_t));
  const uint64_t mac = net::Load<uint32_t>(port.mac.data()) | uint64_t{net::Load<uint16_t>(port.mac.data() + 4)} << 32;
  return _mm256_zextsi128_si256(_mm_cvtsi64_si128(static_cast<long long>(mac)));
}

// Both ports in one go, as an L4 header begins.
inline void StorePorts(Packet& packet, uint32_t ports) {
  static_assert(offsetof(net::ParsedHeaders, destination_port) == offsetof(net::ParsedHeaders, source_port) + 2);
  net::Store(reinterpret_cast<uint8_t*>(&packet.headers) + offsetof(net::ParsedHeaders, source_port), ports);
}

// Makes the record of a packet of the kind, but for what its IP header says of its length. `second_half`: InPort, and
// what else the second half of all records has and kRecord's not.
template <net::Family family, uint8_t protocol>
SLUICE_FAST_PATH __attribute__((always_inline)) inline void WriteRecord(Packet& packet, rte_mbuf* mbuf,
                                                                        const uint8_t* frame, __m256i second_half) {
  const auto* const record = reinterpret_cast<const uint8_t*>(&kRecord<family, protocol>);
  auto* const at = reinterpret_cast<uint8_t*>(&packet);
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), Load32(record));
  _mm256_store_si256(reinterpret_cast<__m256i*>(at + 32), _mm256_or_si256(Load32(record + 32), second_half));
  packet.mbuf = mbuf;
  const uint8_t* const l4 = frame + kL4<family>;
  if (protocol == net::kProtocolTcp) packet.headers.tcp_flags = l4[offsetof(net::TcpHeader, flags)];
  StorePorts(packet, net::Load<uint32_t>(l4));
}

template <net::Family family>
inline bool ChecksumIsGood(const rte_mbuf* mbuf, const uint8_t* ip) {
  if constexpr (family == net::Family::kIpv6) return true;
  static_assert(RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN == 0);
  if ((mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) != 0) {
    const uint64_t verdict = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    if (verdict == RTE_MBUF_F_RX_IP_CKSUM_GOOD) return true;
    if (verdict == RTE_MBUF_F_RX_IP_CKSUM_BAD) return false;
  }
  return net::CommonIpv4ChecksumIsValid(ip);
}

// What the table of exact VIPs knows a packet by whose ports lie right behind its addresses.
template <net::Family family>
struct VipKey;

template <>
struct VipKey<net::Family::kIpv4> {
  lb::VipAddressV4 address;
  uint32_t service = 0;  // not asked for: the key says all
  uint64_t key;

  VipKey(const uint8_t* frame, uint8_t protocol) {
    // Of address and both ports the client's port makes room for the protocol.
    constexpr uint64_t kPlace = uint64_t{0xffff} << 32;
    const auto address_and_ports = net::Load<uint64_t>(frame + kDestination<net::Family::kIpv4>);
    address = {static_cast<uint32_t>(address_and_ports)};
    key = (address_and_ports & ~kPlace) | uint64_t{protocol} << 32;
  }
  explicit VipKey(uint64_t known) : address{static_cast<uint32_t>(known)}, key(known) {}
};

template <>
struct VipKey<net::Family::kIpv6> {
  lb::VipAddressV6 address;
  uint32_t service;
  uint64_t key;

  VipKey(const uint8_t* frame, uint8_t protocol) {
    using Vips = lb::ExactVips<lb::VipAddressV6>;
    const uint8_t* const at = frame + kDestination<net::Family::kIpv6>;
    address = {.high = net::Load<uint64_t>(at), .low = net::Load<uint64_t>(at + 8)};
    service = Vips::ServiceOf(protocol, net::Load<Be16>(at + 18));
    key = Vips::KeyOf(address, service);
  }
};

// Where it is looked for. Copied by loops: see ExactVips::Finder.
template <net::Family family>
using VipFinder = typename lb::ExactVips<decltype(VipKey<family>::address)>::Finder;
template <net::Family family>
const VipFinder<family>& VipFinderOf(const fwd::ForwardingState& state) {
  if constexpr (family == net::Family::kIpv4) {
    return state.vip_table->exact_v4().finder();
  } else {
    return state.vip_table->exact_v6().finder();
  }
}

// Addresses, ports and protocol of a packet whose ports lie right behind its addresses, in blocks as they are hashed.
template <net::Family family, uint8_t protocol>
struct Tuple;

template <uint8_t protocol>
struct Tuple<net::Family::kIpv4, protocol> {
  __m128i block;

  // Of a TCP header these are four bytes more, whose place the protocol takes.
  SLUICE_FAST_PATH explicit Tuple(const uint8_t* source)
      : block(_mm_blend_epi32(lb::LoadBlock(source), _mm_set_epi32(protocol, 0, 0, 0), 0b1000)) {}
};

template <uint8_t protocol>
struct Tuple<net::Family::kIpv6, protocol> {
  __m128i source, destination, tail;

  SLUICE_FAST_PATH explicit Tuple(const uint8_t* at)
      : source(lb::LoadBlock(at)),
        destination(lb::LoadBlock(at + 16)),
        tail(_mm_set_epi32(0, 0, protocol, static_cast<int>(net::Load<uint32_t>(at + 32)))) {}
};

// The hash of FlowHashes.
template <uint8_t protocol>
SLUICE_FAST_PATH inline uint64_t HashOf(const Tuple<net::Family::kIpv4, protocol>& tuple, const lb::AesFlowKeys& keys) {
  return lb::FlowHashV4(tuple.block, keys);
}
template <uint8_t protocol>
SLUICE_FAST_PATH inline uint64_t HashOf(const Tuple<net::Family::kIpv6, protocol>& tuple, const lb::AesFlowKeys& keys) {
  return lb::FlowHashV6(tuple.source, tuple.destination, tuple.tail, keys);
}
template <net::Family family, uint8_t protocol>
SLUICE_FAST_PATH inline uint64_t HashOf(const uint8_t* source, const lb::AesFlowKeys& keys) {
  return HashOf(Tuple<family, protocol>(source), keys);
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_FRAME_H_
