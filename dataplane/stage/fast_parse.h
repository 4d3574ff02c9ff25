#ifndef SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_
#define SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_

#include <array>

#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// The first half of the fast path's first pass: what frames tell by themselves.
namespace sluice::stage {

// What it tells of a burst, by packet.
struct Parsed {
  // Packets of the most common kinds, found sound eight at a time: those of IPv4 from where clients are (not
  // IsMartian), of IPv6 that was not looked at. Of these `frame` and `ip_bytes` are set, and of IPv4 `vip_key`. The
  // records are made but for those of TCP over IPv4: so the loop over packets of all kinds need not tell the other ones
  // from single ones.
  struct Eights {
    Places tcp_v4 = 0, udp_v4 = 0, tcp_v6 = 0, udp_v6 = 0;
    Places all() const { return tcp_v4 | udp_v4 | tcp_v6 | udp_v6; }
  } eights;
  template <net::Family family, uint8_t protocol>
  Places& EightsOf() {
    if constexpr (family == net::Family::kIpv4) {
      return protocol == net::kProtocolTcp ? eights.tcp_v4 : eights.udp_v4;
    } else {
      return protocol == net::kProtocolTcp ? eights.tcp_v6 : eights.udp_v6;
    }
  }
  template <net::Family family, uint8_t protocol>
  Places eights_of() const {
    return const_cast<Parsed*>(this)->EightsOf<family, protocol>();
  }
  uint64_t frame_bytes;  // FrameBytes of all
  // Of a full burst: all lie as far from the starts of their buffers as the first.
  bool same_headroom;
  std::array<const uint8_t*, kBurstSize> frame;  // of places that are no eights' it may be another packet's
  alignas(32) std::array<uint32_t, kBurstSize> ip_bytes;
  alignas(32) std::array<uint64_t, kBurstSize> vip_key;  // VipKey::key
  // Of `eights.tcp_v4`: the TCP flags that begin and end connections, as the second byte of a word; and of a tunnel's
  // IPv4 header what TosAndLength says.
  alignas(32) std::array<uint16_t, kBurstSize> changes;
  alignas(32) std::array<uint32_t, kBurstSize> tos_and_length;
  // The slot of ExactVips that its VIP can be in, on its way into the cache; null: the packet is not of a common kind,
  // and left to the stages.
  std::array<const void*, kBurstSize> slot;

  // What the other passes add of packets that have no records (fast_tracked_burst.h): VipIndex and BackendIndex.
  // Here, so that one address does for all.
  std::array<uint32_t, kBurstSize> vip_offset, backend_offset;
};

// Makes the record of a packet of the eights. `ip_bytes`: read when it is needed, as there is no register to spare.
template <net::Family family, uint8_t protocol>
SLUICE_FAST_PATH __attribute__((always_inline)) inline void WriteRecordOfEight(Packet& packet, rte_mbuf* mbuf,
                                                                               const uint8_t* frame,
                                                                               const uint32_t& ip_bytes,
                                                                               __m256i second_half) {
  WriteRecord<family, protocol>(packet, mbuf, frame, second_half);
  packet.headers.ip_length = static_cast<uint16_t>(ip_bytes);
}

// By what a packet of Parsed::eights_of the kind is looked for.
template <net::Family family, uint8_t protocol>
VipKey<family> VipKeyOfEight(const Parsed& parsed, size_t place) {
  if constexpr (family == net::Family::kIpv4) {
    return VipKey<family>(parsed.vip_key[place]);
  } else {
    return VipKey<family>(parsed.frame[place], protocol);
  }
}

// What InitPacket, Parse and FollowFragments do, of a burst that came by `port` just now and is not empty, but for the
// records of `eights.tcp_v4`. Asks the tables nothing: the slots come from the second-level cache, and waiting for each
// packet's would take longer than all that is done here (rows with 1 000 VIPs).
void ParseOnFastPath(rte_mbuf** mbufs, PortId port, Burst& burst, Parsed& parsed, const StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_
