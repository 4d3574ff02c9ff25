#ifndef SLUICE_CONTROLPLANE_MODEL_WEIGHTS_H_
#define SLUICE_CONTROLPLANE_MODEL_WEIGHTS_H_

#include <chrono>
#include <cstdint>
#include <vector>

#include "controlplane/model/registry.h"
#include "dataplane/base/ids.h"

// What a backend's weight counts for at the moment: less than it says while the backend starts slowly, and while it
// reports more load than others. Nobody wishes for that, so it makes new states and no new versions.
namespace sluice::model {

// The slow start, in percent of the weight, after so long: the pool's number of equal steps, the first at once, the
// last, with all of the weight, at the end.
uint32_t SlowStartPercent(const config::PoolPolicy& policy, std::chrono::steady_clock::duration passed);

// Backends that get new flows by `next` and did not by `before` begin slowly, where the pool wants that; what does not
// apply any more is forgotten. A pool that served nobody before has nobody who could take the rest, so there is no
// slow start in it.
void BeginSlowStarts(const Registry& before, SteadyTime now, Registry* next);

// Whether any backend starts slowly.
bool StartsSlowly(const Registry& registry);

// What reports of load make of a weight. The generation tells the backend from an earlier one with its id.
struct LoadPercent {
  BackendId backend;
  BackendGeneration generation = 0;
  uint32_t percent = 100;
};

// One look: slow starts go on, and the reports count. False: nothing changed.
bool AdvanceWeights(SteadyTime now, const std::vector<LoadPercent>& loads, Registry* next);

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_WEIGHTS_H_
