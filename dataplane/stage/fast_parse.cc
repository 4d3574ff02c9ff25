#include "dataplane/stage/fast_parse.h"

#include <immintrin.h>
#include <rte_mbuf.h>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/vip_table.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/tunnel_source.h"

// The first half of the fast path's first pass.
namespace sluice::stage {
namespace {

using net::Family;
using net::Load;
using net::Store;

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
  const auto* const record = reinterpret_cast<const uint8_t*>(&kRecord<family, protocol>);
  auto* const at = reinterpret_cast<uint8_t*>(&packet);
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), Load32(record));
  _mm256_store_si256(reinterpret_cast<__m256i*>(at + 32), _mm256_or_si256(Load32(record + 32), kinds.in_port));
  packet.mbuf = mbuf;

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
  if (protocol == net::kProtocolTcp) packet.headers.tcp_flags = l4[offsetof(net::TcpHeader, flags)];
  // Both in one go.
  static_assert(offsetof(net::ParsedHeaders, destination_port) == offsetof(net::ParsedHeaders, source_port) + 2);
  Store(at + offsetof(Packet, headers) + offsetof(net::ParsedHeaders, source_port), Load<uint32_t>(l4));
  // No tunnel is TCP.
  if (protocol != net::kProtocolTcp && IsOwnTunnel(packet, *env.node)) return nullptr;

  const uint64_t key = VipKey<family>(frame, protocol).key;
  const void* const slot = family == Family::kIpv4 ? kinds.v4.SlotOf(key) : kinds.v6.SlotOf(key);
  PrefetchLine(slot);
  return slot;
}

SLUICE_FAST_PATH __m256i InPort(PortId port) {
  constexpr size_t kAt = offsetof(Packet, in_port) - 32;
  static_assert(kAt < 16 && sizeof(PortId) == 1);
  return _mm256_zextsi128_si256(_mm_insert_epi8(_mm_setzero_si128(), static_cast<int>(port.value()), kAt));
}

}  // namespace

SLUICE_FAST_PATH void ParseOnFastPath(rte_mbuf* const* mbufs, PortId port, Places places, Burst& burst, VipSlots& slots,
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
  for (size_t i = 0; i < count; ++i) {
    if ((places >> i & 1) == 0) [[unlikely]] {
      slots[i] = nullptr;
      continue;
    }
    Packet& packet = burst.packets[i];
    rte_mbuf* const mbuf = mbufs[i];
    const auto* const frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    const uint32_t bytes = rte_pktmbuf_data_len(mbuf);
    if (mbuf->nb_segs != 1 || bytes < net::kCommonBytesV4) [[unlikely]] {
      InitPacket(packet, mbuf, port);
      slots[i] = nullptr;
      continue;
    }
    // Of an unaligned load that has no instruction of its own g++ makes two.
    const __m256i start = _mm256_lddqu_si256(reinterpret_cast<const __m256i*>(frame));
    if (Begins<Family::kIpv4>(start, kinds.tcp_v4)) [[likely]] {
      slots[i] = ParseFrameOf<Family::kIpv4, net::kProtocolTcp>(packet, mbuf, frame, bytes, kinds, env);
    } else if (Begins<Family::kIpv4>(start, kinds.udp_v4)) {
      slots[i] = ParseFrameOf<Family::kIpv4, net::kProtocolUdp>(packet, mbuf, frame, bytes, kinds, env);
    } else if (bytes >= net::kCommonBytesV6 && Begins<Family::kIpv6>(start, kinds.tcp_v6)) {
      slots[i] = ParseFrameOf<Family::kIpv6, net::kProtocolTcp>(packet, mbuf, frame, bytes, kinds, env);
    } else if (bytes >= net::kCommonBytesV6 && Begins<Family::kIpv6>(start, kinds.udp_v6)) {
      slots[i] = ParseFrameOf<Family::kIpv6, net::kProtocolUdp>(packet, mbuf, frame, bytes, kinds, env);
    } else {
      InitPacket(packet, mbuf, port);
      slots[i] = nullptr;
    }
  }
}

}  // namespace sluice::stage
