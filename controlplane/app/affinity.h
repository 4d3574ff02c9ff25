#ifndef SLUICE_CONTROLPLANE_APP_AFFINITY_H_
#define SLUICE_CONTROLPLANE_APP_AFFINITY_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace sluice::app {

// Those of `allowed` that are no worker's; all of `allowed` when none is left.
std::vector<uint32_t> ControlCpus(const std::vector<uint32_t>& allowed, const std::vector<uint32_t>& worker_cpus);

// Lets the calling thread, and those it creates from now on, run on `cpus` only.
absl::Status RunOn(const std::vector<uint32_t>& cpus);

// Lets the calling thread run on `cpus` as well, where the kernel allows it. CPUs that isolcpus= takes from the
// scheduler are not among those a process may use until it asks for them, and workers.cpus asks.
void AllowCpus(const std::vector<uint32_t>& cpus);

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_AFFINITY_H_
