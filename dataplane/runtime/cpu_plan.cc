#include "dataplane/runtime/cpu_plan.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/base/cpu_list.h"

namespace sluice::runtime {
namespace {

absl::Status CheckWanted(const std::vector<uint32_t>& allowed, const std::vector<uint32_t>& wanted, uint32_t workers) {
  if (wanted.size() != workers) {
    return absl::InvalidArgumentError(absl::StrCat("workers.cpus names ", wanted.size(), " CPUs (", CpuListText(wanted),
                                                   ") for workers.count ", workers,
                                                   ": give one CPU for each worker, or leave cpus out"));
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (std::find(wanted.begin(), wanted.begin() + static_cast<ptrdiff_t>(i), wanted[i]) !=
        wanted.begin() + static_cast<ptrdiff_t>(i)) {
      return absl::InvalidArgumentError(
          absl::StrCat("workers.cpus names CPU ", wanted[i], " twice: each worker needs a CPU of its own"));
    }
    if (!std::binary_search(allowed.begin(), allowed.end(), wanted[i])) {
      return absl::InvalidArgumentError(absl::StrCat(
          "workers.cpus names CPU ", wanted[i], ", which this process may not use; allowed are ", CpuListText(allowed),
          " (see taskset -p, or CPUAffinity= of the "
          "service)"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CpuPlan> PlanCpus(const std::vector<uint32_t>& allowed, const std::vector<uint32_t>& wanted,
                                 uint32_t workers) {
  if (workers == 0) return absl::InvalidArgumentError("workers.count is 0: at least one worker is needed");
  if (workers > allowed.size()) {
    return absl::FailedPreconditionError(absl::StrCat("workers.count is ", workers, ", but this process may use only ",
                                                      allowed.size(), " CPUs (", CpuListText(allowed),
                                                      "): lower the count"));
  }
  CpuPlan plan;
  if (wanted.empty()) {
    for (uint32_t i = 0; i < workers; ++i) plan.worker_cpus.push_back(allowed[allowed.size() - 1 - i]);
  } else {
    if (absl::Status status = CheckWanted(allowed, wanted, workers); !status.ok()) return status;
    plan.worker_cpus = wanted;
  }
  for (const uint32_t cpu : allowed) {
    if (std::find(plan.worker_cpus.begin(), plan.worker_cpus.end(), cpu) == plan.worker_cpus.end()) {
      plan.control_cpus.push_back(cpu);
    }
  }
  if (plan.control_cpus.empty()) {
    plan.control_cpus = allowed;
    plan.shared = true;
  }
  return plan;
}

absl::StatusOr<std::vector<uint32_t>> AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) {
    return absl::InternalError(absl::StrCat("sched_getaffinity failed: ", std::strerror(errno)));
  }
  std::vector<uint32_t> cpus;
  for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace sluice::runtime
