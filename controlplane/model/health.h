#ifndef SLUICE_CONTROLPLANE_MODEL_HEALTH_H_
#define SLUICE_CONTROLPLANE_MODEL_HEALTH_H_

#include <cstdint>
#include <string_view>

// What is known of a backend's health, apart from its lifecycle: a draining backend can be down, and a backend that is
// down can be drained.
namespace sluice::model {

enum class Health : uint8_t {
  kUnchecked,  // nobody has said anything; used as if it were up
  kUp,
  kDown,
};

constexpr bool IsUsable(Health health) { return health != Health::kDown; }

constexpr std::string_view HealthName(Health health) {
  switch (health) {
    case Health::kUnchecked:
      return "unchecked";
    case Health::kUp:
      return "up";
    case Health::kDown:
      return "down";
  }
  return "unknown";
}

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_HEALTH_H_
