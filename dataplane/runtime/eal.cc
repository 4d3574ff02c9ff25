#include "dataplane/runtime/eal.h"

#include <rte_build_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dataplane/base/log.h"
#include "dataplane/runtime/devargs.h"
#include "dataplane/runtime/eal_log.h"

namespace sluice::runtime {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;
// For what drivers, rings and EAL itself take. Without huge pages it costs address space only, until it is touched.
constexpr uint64_t kEalSlackBytes = 64 * kMegabyte;

std::string CpuSet(const std::vector<uint32_t>& cpus) { return absl::StrCat("(", absl::StrJoin(cpus, ","), ")"); }

constexpr absl::string_view kPrefix = "sluice-";

// Directories of processes that were killed: DPDK makes one for each prefix, and it is empty. `own`: ours.
void RemoveStaleDirectories(const std::filesystem::path& own) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(own.parent_path(), error)) {
    const std::string name = entry.path().filename();
    int pid = 0;
    if (!absl::StartsWith(name, kPrefix) || !absl::SimpleAtoi(name.substr(kPrefix.size()), &pid)) continue;
    std::error_code ignored;
    if (kill(pid, 0) != 0 && errno == ESRCH) std::filesystem::remove(entry.path(), ignored);
  }
}

uint64_t ReadNumber(const std::filesystem::path& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  file >> value;
  return file ? value : 0;
}

}  // namespace

uint64_t EalBytes(const MemoryPlan& plan) { return plan.pool_bytes + kEalSlackBytes; }

std::string DriverDirectory() { return RTE_EAL_PMD_PATH; }

std::vector<FreeHugepages> ReadFreeHugepages() {
  std::vector<FreeHugepages> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", error)) {
    const std::string name = entry.path().filename();  // "hugepages-2048kB"
    const size_t dash = name.find('-');
    if (dash == std::string::npos) continue;
    const uint64_t kilobytes = std::strtoull(name.c_str() + dash + 1, nullptr, 10);
    const uint64_t free = ReadNumber(entry.path() / "free_hugepages");
    if (kilobytes != 0) found.push_back({.page_bytes = kilobytes * 1024, .free = free});
  }
  return found;
}

absl::StatusOr<bool> DecideHugepages(Hugepages wanted, const MemoryPlan& plan, const std::vector<FreeHugepages>& free) {
  if (wanted == Hugepages::kOff) return false;
  // Tables go to huge pages too where there are any left, but only packets need them for devices' sake.
  const uint64_t needed = EalBytes(plan);
  uint64_t available = 0;
  for (const FreeHugepages& pages : free) available += pages.page_bytes * pages.free;
  if (available >= needed) return true;
  if (wanted == Hugepages::kAuto) return false;  // slower, as the summary of the start says
  const uint64_t pages = (needed + plan.connection_bytes) / (2 * kMegabyte) + 1;
  return absl::FailedPreconditionError(
      absl::StrCat("memory.hugepages is 'require', but ", available / kMegabyte,
                   " MB of huge pages are free and about ", (needed + plan.connection_bytes) / kMegabyte,
                   " MB are needed: sysctl vm.nr_hugepages=", pages, " (2 MB pages, beyond those that others use)"));
}

std::vector<std::string> EalArguments(const DataplaneOptions& options, const CpuPlan& cpus, const MemoryPlan& plan,
                                      bool hugepages, const std::string& file_prefix) {
  std::vector<std::string> arguments = {"sluiced", "--no-telemetry", "--log-level",
                                        "warning", "--file-prefix",  file_prefix};
  std::string lcores = absl::StrCat("0@", CpuSet(cpus.control_cpus));
  for (uint32_t i = 0; i < cpus.worker_cpus.size(); ++i) {
    absl::StrAppend(&lcores, ",", LcoreOfWorker(i), "@", CpuSet({cpus.worker_cpus[i]}));
  }
  arguments.insert(arguments.end(), {"--lcores", lcores, "--main-lcore", "0"});
  if (hugepages) {
    // Anonymous huge pages and no shared configuration: nothing to be left behind.
    arguments.push_back("--in-memory");
  } else {
    arguments.insert(arguments.end(),
                     {"--no-huge", "--no-shconf", "-m", absl::StrCat((EalBytes(plan) + kMegabyte - 1) / kMegabyte)});
  }
  bool pci = false;
  for (const PortOptions& port : options.ports) {
    for (const std::string& device : port.devices) {
      if (!IsPciDevice(device)) continue;
      pci = true;
      arguments.insert(arguments.end(), {"-a", device});
    }
  }
  if (!pci) arguments.push_back("--no-pci");
  return arguments;
}

absl::StatusOr<std::unique_ptr<Eal>> Eal::Init(const DataplaneOptions& options, const CpuPlan& cpus,
                                               const MemoryPlan& plan) {
  absl::StatusOr<bool> hugepages = DecideHugepages(options.hugepages, plan, ReadFreeHugepages());
  if (!hugepages.ok()) return hugepages.status();
  if (absl::Status status = CaptureEalLog(); !status.ok()) return status;

  const std::string prefix = absl::StrCat(kPrefix, getpid());
  std::vector<std::string> arguments = EalArguments(options, cpus, plan, *hugepages, prefix);
  SLUICE_LOG(kDebug) << "EAL arguments: " << absl::StrJoin(arguments, " ");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  const EalLogExcerpt excerpt;
  if (rte_eal_init(static_cast<int>(arguments.size()), argv.data()) < 0) {
    return absl::InternalError(absl::StrCat("DPDK's rte_eal_init failed: ", rte_strerror(rte_errno), excerpt.Text(),
                                            "; it was called as: ", absl::StrJoin(arguments, " ")));
  }
  std::string directory = rte_eal_get_runtime_dir();
  // Only a directory that is ours alone may be removed at the end.
  if (directory.size() < prefix.size() || directory.substr(directory.size() - prefix.size()) != prefix) {
    directory.clear();
  } else {
    RemoveStaleDirectories(directory);
  }
  return std::unique_ptr<Eal>(new Eal(*hugepages, std::move(directory)));
}

Eal::~Eal() {
  rte_eal_cleanup();
  if (runtime_directory_.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(runtime_directory_, error);
  // The parent only if no other DPDK process uses it.
  std::filesystem::remove(std::filesystem::path(runtime_directory_).parent_path(), error);
}

}  // namespace sluice::runtime
