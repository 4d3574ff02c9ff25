#ifndef SLUICE_CONTROLPLANE_APP_WEIGHT_KEEPER_H_
#define SLUICE_CONTROLPLANE_APP_WEIGHT_KEEPER_H_

#include <chrono>
#include <vector>

#include "controlplane/model/check_status.h"
#include "controlplane/model/weights.h"
#include "controlplane/reconcile/reconciler.h"
#include "dataplane/base/periodic_thread.h"

namespace sluice::app {

// Takes slow starts further, and weights after what the health checks say of backends' load, on a thread of its own.
class WeightKeeper {
 public:
  // Both must live longer.
  WeightKeeper(reconcile::Reconciler& reconciler, const model::CheckStatusSource& checks);
  WeightKeeper(const WeightKeeper&) = delete;
  WeightKeeper& operator=(const WeightKeeper&) = delete;

 private:
  void Look();
  std::vector<model::LoadPercent> Loads() const;

  reconcile::Reconciler& reconciler_;
  const model::CheckStatusSource& checks_;
  std::chrono::steady_clock::time_point next_round_;
  PeriodicThread thread_;
};

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_WEIGHT_KEEPER_H_
