#ifndef SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_
#define SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_

#include <array>
#include <cstdint>

#include "dataplane/lb/vip_table.h"
#include "dataplane/net/bytes.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// The first half of the fast path's first pass: what frames tell by themselves.
namespace sluice::stage {

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

// By packet of a burst: the slot of ExactVips that its VIP can be in, on its way into the cache; null: the packet is
// not of the common kind, and left to the stages, or not in `places`.
using VipSlots = std::array<const void*, kBurstSize>;

// What InitPacket, Parse and FollowFragments do, of the packets in `places`. Asks the tables nothing: the slots come
// from the second-level cache, and waiting for each packet's would take longer than all that is done here (rows with 1
// 000 VIPs).
void ParseOnFastPath(rte_mbuf* const* mbufs, PortId port, Places places, Burst& burst, VipSlots& slots,
                     const StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_
