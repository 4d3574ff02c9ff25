#ifndef SLUICE_DATAPLANE_STAGE_PROBES_H_
#define SLUICE_DATAPLANE_STAGE_PROBES_H_

#include <rte_mbuf.h>

#include <cstddef>

#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// Of `count` (<= kBurstSize) packets that the host's kernel sent by `port`, takes out those of health checks: addressed
// to a VIP from a source port that StageEnv::probes knows (of echo requests, the identifier). They come to lie in
// `burst`, rewritten for the one backend that each is meant for, as the VIP's own packets are, with the fate kForwarded
// or kDropped. The other packets stay in `mbufs`, in their order; returns how many. Worker thread.
size_t TakeProbes(rte_mbuf** mbufs, size_t count, PortId port, StageEnv& env, Burst& burst);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_PROBES_H_
