#ifndef SLUICE_DATAPLANE_RUNTIME_CPU_PLAN_H_
#define SLUICE_DATAPLANE_RUNTIME_CPU_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace sluice::runtime {

// Which CPU each worker runs on, and where all other threads of the process may run.
struct CpuPlan {
  std::vector<uint32_t> worker_cpus;   // by WorkerId
  std::vector<uint32_t> control_cpus;  // ascending, never empty
  // Control threads run on workers' CPUs because there are no others.
  bool shared = false;
};

// Chooses from `allowed` (ascending). `wanted`: the workers' CPUs in order; empty: the last ones of `allowed`, because
// interrupts and other services tend to use the first. Errors: kInvalidArgument for a number of CPUs other than
// `workers`, a CPU named twice or not allowed; kFailedPrecondition for more workers than allowed CPUs.
absl::StatusOr<CpuPlan> PlanCpus(const std::vector<uint32_t>& allowed, const std::vector<uint32_t>& wanted,
                                 uint32_t workers);

// The CPUs that this process may run on, ascending.
absl::StatusOr<std::vector<uint32_t>> AllowedCpus();

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_CPU_PLAN_H_
