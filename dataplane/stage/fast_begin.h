#ifndef SLUICE_DATAPLANE_STAGE_FAST_BEGIN_H_
#define SLUICE_DATAPLANE_STAGE_FAST_BEGIN_H_

#include "dataplane/stage/fast_marks.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Connections that begin, which in a flood are all there is.
namespace sluice::stage {

// What the second pass reads and counts of VIPs and backends. Read once: see CountForwarded.
struct SelectionTables {
  const fwd::FastPathVip* vips;
  Marks marks;
  const fwd::BackendEntry* backends;
  fwd::VipCounters* vip_counters;
  fwd::BackendCounters* backend_counters;
};

// The second pass of connections that begin, to VIPs whose scheduler is the pool's table alone, from `first` on for as
// long as packets of the one kind follow each other, as the ladder does it. Returns the first packet of which nothing
// was changed; where that is `first`, the ladder has to look. `wanted`: the first packet's. Tables by value, so that
// the caller's own tables have no address and stay in registers.

// Of those that are kBeginningLookup, whose flows are entered: up to one that has or may have an entry, or for which
// there is no room. `fetched_end`: second buckets were fetched for the packets in front of it; the burst's begin before
// its first run.
template <net::Family family>
SLUICE_FAST_PATH Packet* SelectNoted(Packet* first, Packet* end, const WantedEntry<family>* wanted,
                                     SelectionTables tables, const Packet*& fetched_end, StageEnv& env);

// Of those that are kPassingLookup, whose flows are not entered: where they certainly have no entry.
template <net::Family family>
SLUICE_FAST_PATH Packet* SelectPassing(Packet* first, Packet* end, const WantedEntry<family>* wanted,
                                       SelectionTables tables, StageEnv& env);

// Of datagrams of flows without entry, which are entered likewise. SYNs that are neither of the above are to VIPs with
// another scheduler.
template <net::Family family>
SLUICE_FAST_PATH Packet* SelectDatagrams(Packet* first, Packet* end, const WantedEntry<family>* wanted,
                                         SelectionTables tables, const Packet*& fetched_end, StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_BEGIN_H_
