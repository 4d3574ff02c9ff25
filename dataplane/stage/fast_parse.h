#ifndef SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_
#define SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_

#include <array>

#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// The first half of the fast path's first pass: what frames tell by themselves.
namespace sluice::stage {

// By packet of a burst: the slot of ExactVips that its VIP can be in, on its way into the cache; null: the packet is
// not of the common kind, and left to the stages, or not in `places`.
using VipSlots = std::array<const void*, kBurstSize>;

// What InitPacket, Parse and FollowFragments do, of the packets in `places`. Asks the tables nothing: the slots come
// from the second-level cache, and waiting for each packet's would take longer than all that is done here (rows with
// 1 000 VIPs).
void ParseOnFastPath(rte_mbuf* const* mbufs, PortId port, Places places, Burst& burst, VipSlots& slots,
                     const StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_PARSE_H_
