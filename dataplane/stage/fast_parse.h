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
  // Packets of the most common kind, TCP over IPv4, found sound and from where clients are (not IsMartian) eight at a
  // time. Of these `frame`, `ip_bytes` and `vip_key` are set, and the records are not made yet.
  Places eights = 0;
  std::array<const uint8_t*, kBurstSize> frame;
  alignas(32) std::array<uint32_t, kBurstSize> ip_bytes;
  alignas(32) std::array<uint64_t, kBurstSize> vip_key;  // VipKey::key
  // TCP over IPv6, found sound in the same way; where it is from was not looked at. Of these `frame` is set, and the
  // records are made: so the loop over packets of all kinds need not tell them from others.
  Places eights_v6 = 0;
  template <net::Family family>
  Places eights_of() const {
    return family == net::Family::kIpv4 ? eights : eights_v6;
  }
  // The slot of ExactVips that its VIP can be in, on its way into the cache; null: the packet is not of a common kind,
  // and left to the stages.
  std::array<const void*, kBurstSize> slot;
};

// By what a packet of Parsed::eights_of the family is looked for.
template <net::Family family>
VipKey<family> VipKeyOfEight(const Parsed& parsed, size_t place) {
  if constexpr (family == net::Family::kIpv4) {
    return VipKey<family>(parsed.vip_key[place]);
  } else {
    return VipKey<family>(parsed.frame[place], net::kProtocolTcp);
  }
}

// What InitPacket, Parse and FollowFragments do, of a burst that came by `port` just now, but for the records of
// `eights`. Asks the tables nothing: the slots come from the second-level cache, and waiting for each packet's would
// take longer than all that is done here (rows with 1 000 VIPs).
void ParseOnFastPath(rte_mbuf** mbufs, PortId port, Burst& burst, Parsed& parsed, const StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_
