#ifndef SLUICE_TOOLS_SIM_SIMULATION_H_
#define SLUICE_TOOLS_SIM_SIMULATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/sim/router.h"
#include "tools/sim/workload.h"

namespace sluice::sim {

// What happened last before the packet that broke a connection.
enum class Cause : uint8_t { kServers, kDirectors };
inline constexpr size_t kCauseCount = 2;

// Broken connections: by cause, and of those with and without timestamps.
struct Broken {
  std::array<std::array<uint64_t, kCauseCount>, 2> by_cause{};  // [has timestamps][cause]

  uint64_t sum() const { return by_cause[0][0] + by_cause[0][1] + by_cause[1][0] + by_cause[1][1]; }
};

// What became of the connections that went through one router.
struct Outcome {
  std::string router;
  uint8_t definitions = 0;
  Broken up;     // by the definition kUp, if it is in the set
  Broken drain;  // by kDrain
  uint64_t packets = 0;
  uint64_t tracked = 0;
  uint64_t table_full = 0;
  // Largest number of connections on a server that is up, over their average, minus 1: mean over time.
  double imbalance = 0;
};

struct Result {
  uint64_t connections = 0;
  uint64_t without_timestamps = 0;
  uint64_t server_changes = 0;
  uint64_t director_changes = 0;
  double servers_up = 0;  // mean over time
  std::vector<Outcome> outcomes;
};

// Sends the workload through all routers at once. Every connection sends a packet when it begins, after every change of
// servers or directors, and when it ends; one that is broken sends no more. With a plan, that happens and nothing else.
// The same options give the same result.
Result Simulate(const WorkloadOptions& options, const std::vector<std::unique_ptr<Router>>& routers);

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_SIMULATION_H_
