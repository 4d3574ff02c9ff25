#ifndef SLUICE_DATAPLANE_STAGE_FAST_BEGIN_H_
#define SLUICE_DATAPLANE_STAGE_FAST_BEGIN_H_

#include "dataplane/stage/fast_marks.h"
#include "dataplane/stage/fast_parse.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Connections that begin, which in a flood are all there is.
namespace sluice::stage {

// What the second pass reads and counts of VIPs and backends. Read once: see CountForwarded.
struct SelectionTables {
  explicit SelectionTables(const StageEnv& env)
      : vips(env.state->fast_path_vips->data()),
        marks(*env.state),
        backends(env.state->backends->data()),
        vip_counters(env.counters->vips.get()),
        backend_counters(env.counters->backends.get()) {}

  const fwd::FastPathVip* vips;
  Marks marks;
  const fwd::BackendEntry* backends;
  fwd::VipCounters* vip_counters;
  fwd::BackendCounters* backend_counters;
};

// The second pass of connections that begin, to VIPs whose scheduler is the pool's table alone, from the burst's packet
// `first` on for as long as packets of the one kind follow each other, as the ladder does it. Returns the first packet
// of which nothing was changed; where that is `first`, the ladder has to look. Tables by value, so that the caller's
// own tables have no address and stay in registers.

// Of those that are kBeginningLookup, whose flows are entered: up to one that has or may have an entry, or for which
// there is no room. `fetched_end`: second buckets were fetched for the packets in front of it; 0 before the burst's
// first run.
template <net::Family family>
SLUICE_FAST_PATH size_t SelectNoted(size_t first, Burst& burst, const WantedEntries& wanted, SelectionTables tables,
                                    size_t& fetched_end, StageEnv& env);

// Of those that are kPassingLookup, whose flows are not entered: where they certainly have no entry.
template <net::Family family>
SLUICE_FAST_PATH size_t SelectPassing(size_t first, Burst& burst, const WantedEntries& wanted, SelectionTables tables,
                                      StageEnv& env);

// Of datagrams of flows without entry, which are entered likewise. SYNs that are neither of the above are to VIPs with
// another scheduler.
template <net::Family family>
SLUICE_FAST_PATH size_t SelectDatagrams(size_t first, Burst& burst, const WantedEntries& wanted, SelectionTables tables,
                                        size_t& fetched_end, StageEnv& env);

// As SelectNoted, of a full burst that has no records (fast_tracked_burst.h).
SLUICE_FAST_PATH size_t SelectUnrecorded(Parsed& parsed, const WantedEntries& wanted, SelectionTables tables,
                                         StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_BEGIN_H_
