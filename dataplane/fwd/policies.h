#ifndef SLUICE_DATAPLANE_FWD_POLICIES_H_
#define SLUICE_DATAPLANE_FWD_POLICIES_H_

#include <cstdint>

#include "dataplane/base/ids.h"
#include "dataplane/base/zeroed_array.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/load_estimate.h"
#include "dataplane/lb/weighted_round_robin.h"

// Where new connections go that are remembered afterwards: by an entry in a table, a slot, a session, or the cookie
// that is to come. The pool's policy chooses; what nothing remembers has the hash alone, whatever the policy.
namespace sluice::fwd {

struct FlowView;
class FlowTables;

// What a worker knows for the policies' sake: its own turns and its own loads. Workers and directors do not exchange
// them; each spreads what comes to it.
class PolicyMemory {
 public:
  PolicyMemory();

  // Whose turn it is in the pool.
  struct Turn {
    lb::TurnCursor cursor;
    bool begun = false;  // there was one already
  };
  Turn& turn(PoolId pool) { return turns_[pool.index()]; }
  // The worker's connections on the backend, as kept in tables and slots, and those with cookies by estimate, in units
  // of lb::LoadEstimate::kOne.
  uint64_t Load(BackendId backend, uint32_t now_s, const WorkerCounters& counters) const;

  // A connection with cookies began or ended; what is kept in tables is counted there.
  void NoteBegin(BackendId backend, uint32_t now_s) { estimates_[backend.index()].Begin(now_s); }
  void NoteEnd(BackendId backend, uint32_t now_s) { estimates_[backend.index()].End(now_s); }

 private:
  ZeroedArray<Turn> turns_;                  // by PoolId
  ZeroedArray<lb::LoadEstimate> estimates_;  // by BackendId
};

// Whether the VIP's new connections go by a policy other than the hash.
bool GoesByPolicy(const ForwardingState& state, const VipEntry& vip);

// The backend for a connection that the packet begins and that is remembered from now on: the policy's choice; the
// hash's, where that is the policy, where the packet (TCP, but no SYN) goes on with a connection that is not known
// here, and where the VIP has cookies and the connection no timestamps. Invalid when the pool has no backend for new
// flows. Takes the turn, but counts nothing. Worker thread.
BackendId PlaceFlow(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                    const WorkerCounters& counters);

// The same for whoever only wants to know: takes no turn.
BackendId PeekPlace(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                    const WorkerCounters& counters);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_POLICIES_H_
