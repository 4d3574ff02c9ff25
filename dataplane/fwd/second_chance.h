#ifndef SLUICE_DATAPLANE_FWD_SECOND_CHANCE_H_
#define SLUICE_DATAPLANE_FWD_SECOND_CHANCE_H_

#include <cstdint>
#include <functional>

#include "dataplane/base/ids.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/worker_counters.h"

// A connection that this director does not know is looked for by the hash, and is elsewhere if its slot had another
// owner when it began. So beside the backend that a packet goes to, its tunnel names the one that may have it (as GLB,
// Faild and Beamer do), and the first backend's agent sends on, once, what it has no socket for.
namespace sluice::fwd {

// Notes for each slot of `pool`, whose slots are there, who had it before its present owner. `old` and `exists`: as of
// BuildHomes. Control thread.
void NotePreviousOwners(const PoolTable* old, const std::function<bool(BackendId)>& exists, PoolTable* pool);

// Whether what placed a packet may be wrong about its connection: the hash, and an entry, which the hash may have made
// of a connection that went on here.
constexpr bool MayBeElsewhere(Rung rung) {
  return rung == Rung::kConnectionTable || rung == Rung::kScheduler || rung == Rung::kSchedulerNoEntry ||
         rung == Rung::kHashOnly || rung == Rung::kSafe;
}

// Whom to name beside `chosen` for a flow with this hash to a VIP with `second_chance`: the previous owner of its slot;
// or, which a director knows that has just started, its home, which may drain; or its owner; or its heir, which is
// likely to have had the slot while the owner was not there. Only who keeps flows and has an address of the same
// family. Invalid: nobody. Worker thread.
BackendId SecondChanceOf(const ForwardingState& state, const VipEntry& vip, uint64_t hash, BackendId chosen);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_SECOND_CHANCE_H_
