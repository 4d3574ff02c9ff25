#ifndef SLUICE_DATAPLANE_STAGE_FAST_SESSIONS_H_
#define SLUICE_DATAPLANE_STAGE_FAST_SESSIONS_H_

#include "dataplane/stage/fast_parse.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Address translation's packets of flows in their middle, both sides of one family, which are nearly all: TCP segments
// with ACK and without SYN, FIN and RST, and datagrams. Their session is found by the tuple alone, before it is known
// which way they go, and says all the rest, if an earlier packet of the same side was looked up whole under the same
// configuration (lb::NatTracking::Learn). So an answer costs no search among VIPs, backends and routes, and both
// directions take the same instructions: which one a packet is of, no CPU can predict. All else is for fast_nat.h and
// the stages.
namespace sluice::stage {

// The second half of the first pass, of packets that came by `port` just now and were `parsed`: makes the records of
// those whose session is known, as kKnownLookup; of these `parsed` says nothing then. Returns their places; the others
// are as they were. Where there are no others, and all are of one family, it does the other passes too, if nothing else
// is to be done: `sent` says so.
Places TakeKnownSessions(rte_mbuf* const* mbufs, PortId port, Parsed& parsed, Burst& burst, Sent& sent, StageEnv& env);

// Second pass, of packets that are kKnownLookup, from place `first` on for as long as they follow each other: notes
// them in their sessions. Returns the place behind. A packet whose session is not what it was is there as
// kSessionLookup.
size_t SelectKnown(Burst& burst, size_t first, StageEnv& env);

// Third pass, of those that are kKnownSelection, likewise: translates and counts them. What Rewrite has to do becomes
// kSessionSelection.
size_t SendKnown(Burst& burst, size_t first, StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_SESSIONS_H_
