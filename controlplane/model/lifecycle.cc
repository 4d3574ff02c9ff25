#include "controlplane/model/lifecycle.h"

namespace sluice::model {

std::optional<Lifecycle> Next(Lifecycle from, LifecycleEvent event) {
  if (from == Lifecycle::kRemoved) return std::nullopt;
  switch (event) {
    case LifecycleEvent::kDrain:
      return Lifecycle::kDraining;
    case LifecycleEvent::kUndrain:
      return Lifecycle::kActive;
    case LifecycleEvent::kRemove:
      return Lifecycle::kRemoved;
  }
  return std::nullopt;
}

bool TakesNewFlows(Lifecycle lifecycle, uint32_t weight) { return lifecycle == Lifecycle::kActive && weight > 0; }

std::string_view LifecycleName(Lifecycle lifecycle) {
  switch (lifecycle) {
    case Lifecycle::kActive:
      return "active";
    case Lifecycle::kDraining:
      return "draining";
    case Lifecycle::kRemoved:
      return "removed";
  }
  return "unknown";
}

}  // namespace sluice::model
