#ifndef SLUICE_DATAPLANE_RUNTIME_EAL_H_
#define SLUICE_DATAPLANE_RUNTIME_EAL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/runtime/cpu_plan.h"
#include "dataplane/runtime/memory_plan.h"
#include "dataplane/runtime/options.h"

namespace sluice::runtime {

// Free huge pages of one size.
struct FreeHugepages {
  uint64_t page_bytes = 0;
  uint64_t free = 0;
};

// Memory that EAL is to manage: packet buffers of one NUMA node, and what drivers and rings need.
uint64_t EalBytes(const MemoryPlan& plan);

// Where EAL finds drivers.
std::string DriverDirectory();

// What the kernel has; empty where it has no huge pages.
std::vector<FreeHugepages> ReadFreeHugepages();

// Whether packet memory comes from huge pages. kFailedPrecondition with the remedy when they are required and too few.
// `free`: as read now; `plan`: what is needed.
absl::StatusOr<bool> DecideHugepages(Hugepages wanted, const MemoryPlan& plan, const std::vector<FreeHugepages>& free);

// The command line for rte_eal_init. Lcore 0 is the main thread and floats over the control CPUs; worker i is lcore
// i + 1 on its CPU.
std::vector<std::string> EalArguments(const DataplaneOptions& options, const CpuPlan& cpus, const MemoryPlan& plan,
                                      bool hugepages, const std::string& file_prefix);

inline constexpr uint32_t LcoreOfWorker(uint32_t worker) { return worker + 1; }

// DPDK's environment layer, up while this lives; once in a process. The calling thread becomes the main lcore and is
// moved to the control CPUs, and so are the threads it starts later.
class Eal {
 public:
  static absl::StatusOr<std::unique_ptr<Eal>> Init(const DataplaneOptions& options, const CpuPlan& cpus,
                                                   const MemoryPlan& plan);
  // Leaves no file behind.
  ~Eal();
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

  bool hugepages() const { return hugepages_; }

 private:
  Eal(bool hugepages, std::string runtime_directory)
      : hugepages_(hugepages), runtime_directory_(std::move(runtime_directory)) {}
  const bool hugepages_;
  const std::string runtime_directory_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_EAL_H_
