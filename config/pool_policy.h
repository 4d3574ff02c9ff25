#ifndef SLUICE_CONFIG_POOL_POLICY_H_
#define SLUICE_CONFIG_POOL_POLICY_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::config {

// What becomes of the connections of a backend that is down: they stay, get another backend, or are reset.
enum class OnDown : uint8_t { kKeep, kReschedule, kReset };
// What packets get for which there is no backend: nothing, ICMP "port unreachable", or a TCP reset.
enum class NoBackend : uint8_t { kDrop, kIcmp, kReset };

// How a new connection's backend is chosen, where something remembers it afterwards.
enum class Scheduling : uint8_t { kMaglev, kWeightedRoundRobin, kPowerOfTwo, kLeastConnections };

// How a pool chooses backends, and treats those that are down.
struct PoolPolicy {
  OnDown on_down = OnDown::kKeep;
  NoBackend no_backend = NoBackend::kDrop;
  // The pool that gets the new connections while none of this one's backends can; empty: none.
  std::string backup = {};
  // While fewer than this share of the backends is up, all are used as if they were; 0: never.
  uint32_t panic_threshold_percent = 0;
  Scheduling scheduling = Scheduling::kMaglev;  // `policy` in the file
  // A backend that begins to get new flows gets its share of them in so many equal steps over so long; 0: at once.
  uint32_t slow_start_s = 0;
  uint32_t slow_start_steps = 10;
  // Backends that report more load than others in their health checks get less, down to this share of their weight.
  bool weight_by_load = false;
  uint32_t weight_floor_percent = 20;
  friend bool operator==(const PoolPolicy&, const PoolPolicy&) = default;
};

constexpr std::string_view OnDownName(OnDown on_down) {
  switch (on_down) {
    case OnDown::kKeep:
      return "keep";
    case OnDown::kReschedule:
      return "reschedule";
    case OnDown::kReset:
      return "reset";
  }
  return "unknown";
}

constexpr std::string_view NoBackendName(NoBackend no_backend) {
  switch (no_backend) {
    case NoBackend::kDrop:
      return "drop";
    case NoBackend::kIcmp:
      return "icmp";
    case NoBackend::kReset:
      return "reset";
  }
  return "unknown";
}

constexpr std::string_view SchedulingName(Scheduling scheduling) {
  switch (scheduling) {
    case Scheduling::kMaglev:
      return "maglev";
    case Scheduling::kWeightedRoundRobin:
      return "weighted-round-robin";
    case Scheduling::kPowerOfTwo:
      return "power-of-two";
    case Scheduling::kLeastConnections:
      return "least-connections";
  }
  return "unknown";
}

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_POOL_POLICY_H_
