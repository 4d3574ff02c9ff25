#ifndef SLUICE_CONTROLPLANE_RECONCILE_IMPACT_H_
#define SLUICE_CONTROLPLANE_RECONCILE_IMPACT_H_

#include <cstdint>
#include <map>
#include <string>

#include "controlplane/model/dataplane_facts.h"
#include "controlplane/model/registry.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/state_builder.h"

namespace sluice::reconcile {

// What a change does beside its lines.
struct Impact {
  // Of the slots of pools that are there before and after: the share that leads to another backend afterwards, 0 to 1.
  // A table of another size counts as moved whole.
  double slots_moved = 0;
  std::map<std::string, double> slots_moved_by_pool;  // those that move
  // Alive on backends that are not there afterwards.
  uint64_t flows_on_removed = 0;
  // Of the parts of the new state that the old one does not have, about; and what the machine has left (0: unknown).
  uint64_t state_bytes = 0;
  uint64_t available_bytes = 0;
  bool fits() const { return available_bytes == 0 || state_bytes <= available_bytes; }
};

// What the new state's parts take that are not those of `before`; cheap, before anything is built. `before` may be
// null.
uint64_t EstimateBytes(const fwd::StateSpec& spec, const fwd::ForwardingState* before);

// Fills in the slots.
void Compare(const model::Registry& before, const fwd::ForwardingState& state_before, const model::Registry& after,
             const fwd::ForwardingState& state_after, Impact* impact);
uint64_t FlowsOnRemoved(const model::Registry& before, const model::Registry& after,
                        const model::DataplaneFacts& facts);

}  // namespace sluice::reconcile

#endif  // SLUICE_CONTROLPLANE_RECONCILE_IMPACT_H_
