#ifndef SLUICE_DATAPLANE_FWD_HOMES_H_
#define SLUICE_DATAPLANE_FWD_HOMES_H_

#include <cstdint>
#include <functional>

#include "dataplane/base/ids.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/lb/flow_hash.h"

// How a VIP keeps its connections without an entry for each (JET: Mendelson et al., CoNEXT 2020): only flows that a
// change of the backends could move are entered into the connection table.
//
// Each slot of a pool's table has a *home*: its owner in the table that would be if all backends that are known (those
// that are down or draining too) took flows with the weights that they are to have. A flow that begins at the home of
// its slot is *safe*: nothing is remembered, and it is looked for at home whoever gets the slot's new flows meanwhile,
// because the home changes neither with health nor with drains, nor with weights that move by themselves. All others
// are entered. So of a flow that is not known the beginning, a SYN, goes to the slot's owner, and everything else to
// its home; where these two differ it is entered then.
//
// Homes change when backends are added or removed, or get another weight. Then a slot keeps its old home as long as
// that exists and a flow of it may be silent without being forgotten; its flows are entered meanwhile, and it gets the
// new home when all that live are. So, unlike with JET, changes need not be announced.
namespace sluice::fwd {

struct FlowView;

// A table of the members with a weight, by Maglev; `heirs` as of lb::BuildMaglevTable.
std::vector<uint16_t> BuildSlots(const std::vector<PoolTable::Member>& members, uint32_t table_size,
                                 const lb::HashKeys& keys, std::vector<uint16_t>* heirs = nullptr);

// Sets the homes of `pool`, whose slots and known backends are there. `old`: the pool in the state before, with the
// same keys, or null. `exists`: whether a backend of that state is in the new one, too. `hold_s`: for how long a flow
// may be silent. Control thread.
void BuildHomes(const PoolTable* old, const lb::HashKeys& keys, const std::function<bool(BackendId)>& exists,
                uint32_t now_s, uint32_t hold_s, PoolTable* pool);

// Whether the time is over for which slots of the pool keep their old homes.
bool HomesAreDue(const PoolTable& pool, uint32_t now_s, uint32_t hold_s);

struct Home {
  BackendId backend;  // invalid: nobody, or it does not keep its flows
  bool safe = false;  // it gets the slot's new flows, too, and nothing could move them
};

// Of a flow to a VIP with `unsafe_only`. Worker thread.
Home HomeOf(const ForwardingState& state, const FlowView& flow);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_HOMES_H_
