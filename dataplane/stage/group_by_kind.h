#ifndef SLUICE_DATAPLANE_STAGE_GROUP_BY_KIND_H_
#define SLUICE_DATAPLANE_STAGE_GROUP_BY_KIND_H_

#include <rte_mbuf.h>

#include <cstddef>

#include "dataplane/stage/fast_nat.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// Puts those packets of a burst behind each other that nearly all stages treat alike: TCP over IPv4, UDP over IPv4, TCP
// over IPv6, UDP over IPv6, all others; each in the order in which they came. So packets of a flow stay in order, and
// so do fragments and the packets of a flow that differ in IPv4 options or in the number of their buffers. Traffic of
// several kinds comes in any order, and where every second packet is of another kind than the one before, a packet
// spends more time on wrong guesses of where the code goes on than on all else (row mixed). At most kBurstSize.
// Returns how many are TCP over IPv4.
size_t GroupByKind(rte_mbuf** mbufs, size_t count);

// Whether it is done with a burst. A few packets are faster as they are; with address translation sessions are looked
// for by the packets' places first.
inline bool IsGrouped(size_t count, const StageEnv& env) { return count >= 8 && !Translates(env); }

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_GROUP_BY_KIND_H_
