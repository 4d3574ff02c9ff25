#ifndef SLUICE_CONTROLPLANE_MODEL_HEALTH_H_
#define SLUICE_CONTROLPLANE_MODEL_HEALTH_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/base/ids.h"

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

// Who says so. Each has a word of its own, so that a check does not bring up what an operator took down.
enum class HealthSource : uint8_t {
  kChecks,  // sluiced's own
  kReport,  // somebody else, through the API
};

struct BackendHealth {
  Health checked = Health::kUnchecked;
  Health reported = Health::kUnchecked;
  // Of the newest word, for people: "connection refused". May be empty.
  std::string reason = {};
  // Since when value() is what it is; the epoch: since the beginning.
  std::chrono::system_clock::time_point since = {};

  // Down if anybody says so.
  Health value() const {
    if (checked == Health::kDown || reported == Health::kDown) return Health::kDown;
    return checked == Health::kUp || reported == Health::kUp ? Health::kUp : Health::kUnchecked;
  }
};

// What somebody has found. The generation tells the backend from an earlier one with its id.
struct HealthUpdate {
  BackendId backend;
  BackendGeneration generation = 0;
  HealthSource source = HealthSource::kChecks;
  Health health = Health::kUnchecked;
  std::string reason = {};
};

// Where checkers tell what they have found. Any thread; never blocks for long.
class HealthSink {
 public:
  virtual ~HealthSink() = default;
  virtual void Report(HealthUpdate update) = 0;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_HEALTH_H_
