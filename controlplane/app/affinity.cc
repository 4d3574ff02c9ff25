#include "controlplane/app/affinity.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <iterator>

namespace sluice::app {

std::vector<uint32_t> ControlCpus(const std::vector<uint32_t>& allowed, const std::vector<uint32_t>& worker_cpus) {
  std::vector<uint32_t> left;
  std::copy_if(allowed.begin(), allowed.end(), std::back_inserter(left), [&](uint32_t cpu) {
    return std::find(worker_cpus.begin(), worker_cpus.end(), cpu) == worker_cpus.end();
  });
  return left.empty() ? allowed : left;
}

absl::Status RunOn(const std::vector<uint32_t>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const uint32_t cpu : cpus) CPU_SET(cpu, &set);
  const int error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
  return error == 0 ? absl::OkStatus() : absl::ErrnoToStatus(error, "cannot choose the CPUs of the control threads");
}

void AllowCpus(const std::vector<uint32_t>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (pthread_getaffinity_np(pthread_self(), sizeof(set), &set) != 0) return;
  for (const uint32_t cpu : cpus) CPU_SET(cpu, &set);
  // The kernel takes those away that are offline or beyond the process's cpuset; who plans with them hears of it.
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

}  // namespace sluice::app
