#ifndef SLUICE_CONTROLPLANE_MODEL_LIFECYCLE_H_
#define SLUICE_CONTROLPLANE_MODEL_LIFECYCLE_H_

#include <cstdint>
#include <optional>
#include <string_view>

// The life of a backend, as a state machine without data.
//
//   active <-- drain / undrain --> draining        any of them -- remove --> removed
//
// Weight is not a part of it: an active backend of weight 0 gets no new flows and is still not draining.
namespace sluice::model {

enum class Lifecycle : uint8_t {
  kActive,    // takes new flows as its weight says
  kDraining,  // keeps its flows, gets no new ones
  kRemoved,   // final; a backend of the same name added later is another backend
};

enum class LifecycleEvent : uint8_t { kDrain, kUndrain, kRemove };

// The state after `event`. Repeating a wish (draining twice) changes nothing. Nothing happens to a removed backend.
std::optional<Lifecycle> Next(Lifecycle from, LifecycleEvent event);

// Whether new flows may be given to a backend.
bool TakesNewFlows(Lifecycle lifecycle, uint32_t weight);

// "active", "draining", "removed".
std::string_view LifecycleName(Lifecycle lifecycle);

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_LIFECYCLE_H_
