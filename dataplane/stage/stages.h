#ifndef SLUICE_DATAPLANE_STAGE_STAGES_H_
#define SLUICE_DATAPLANE_STAGE_STAGES_H_

#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// The steps of the pipeline in their order. Each works on a whole burst, looks at the packets whose fate is pending,
// and may decide it. Worker thread; no allocation, lock, or system call.
namespace sluice::stage {

// Finds the headers. Drops what is broken or is another station's, punts what is not IP.
void Parse(Burst& burst, StageEnv& env);

// Gives fragments that may be for a VIP the ports of their packet's first one, or keeps them until that comes. After it
// a fragment is a packet of its flow like any other, with Packet::part to tell it.
void FollowFragments(Burst& burst, StageEnv& env);

// Finds the VIP and the flow hash, of ICMP errors those of the flow they quote. Punts what is no VIP's, answers echo
// requests, drops what is addressed to a VIP but cannot be served.
void LookupVip(Burst& burst, StageEnv& env);

// Finds the backend by the ladder (fwd/ladder.h).
void SelectBackends(Burst& burst, StageEnv& env);
// The same of one packet whose fate is pending.
void SelectBackendFor(Packet& packet, StageEnv& env);

// Fetches what SelectBackends and the counters need of a packet that LookupVip is done with.
void PrefetchForSelection(const Packet& packet, StageEnv& env);
// Of that the connection table's part: where a flow to the packet's VIP has its entry, if it may have one.
void PrefetchConnection(const Packet& packet, const StageEnv& env);

// Gives the packets the headers that bring them to their backends, by the VIP's forwarding mode. What would not fit the
// MTU is answered with "fragmentation needed" or "packet too big" where it may not be fragmented.
void Rewrite(Burst& burst, StageEnv& env);

// Sets how urgently the host's kernel needs the packet; for packets that are to be punted.
PuntClass ClassifyPunt(const Packet& packet, const NodeTraits& node);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_STAGES_H_
