#include <getopt.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dataplane/runtime/eal.h"
#include "tests/bench/pipeline/measure.h"
#include "tests/bench/pipeline/report.h"
#include "tests/bench/pipeline/scenario.h"

namespace sluice::bench {
namespace {

constexpr const char* kUsage = R"(sluice-bench: cycles per packet of sluiced's packet path, on one core

  sluice-bench [--row TEXT] [--windows N] [--json] [--no-huge] [--list]

Drives the production pipeline with packets in memory: all stages and counters, without driver. Each row is the median
over many short windows; beside it stands a reference loop of the same run (take a buffer, touch it, give it back), so
that ratios can be compared between machines.

  --row TEXT    only rows whose name contains TEXT; only the one whose whole name it is, if there is such a row
  --windows N   windows of 1024 packets for each row; default 1000
  --json        one JSON object a row
  --no-huge     ordinary memory, also where there are huge pages
  --list        names of the rows only

Exit status: 0; 1 when a row could not be measured; 2 for wrong usage.
)";

struct Arguments {
  std::string row;
  uint32_t windows = 1000;
  bool json = false;
  bool no_huge = false;
  bool list = false;
};

int UsageError(const std::string& message) {
  std::cerr << "sluice-bench: " << message << "; see sluice-bench --help\n";
  return 2;
}

// The exit status when there is nothing to run, -1 to go on.
int Parse(int argc, char** argv, Arguments& arguments) {
  static constexpr option kOptions[] = {{"row", required_argument, nullptr, 'r'},
                                        {"windows", required_argument, nullptr, 'w'},
                                        {"json", no_argument, nullptr, 'j'},
                                        {"no-huge", no_argument, nullptr, 'n'},
                                        {"list", no_argument, nullptr, 'l'},
                                        {"help", no_argument, nullptr, 'h'},
                                        {nullptr, 0, nullptr, 0}};
  int chosen = 0;
  while ((chosen = getopt_long(argc, argv, "", kOptions, nullptr)) != -1) {
    if (chosen == 'r') {
      arguments.row = optarg;
    } else if (chosen == 'w') {
      const char* const end = optarg + std::strlen(optarg);
      const auto [at, error] = std::from_chars(optarg, end, arguments.windows);
      if (error != std::errc() || at != end || arguments.windows == 0) {
        return UsageError(absl::StrCat("--windows ", optarg, ": must be a number from 1 on"));
      }
    } else if (chosen == 'j') {
      arguments.json = true;
    } else if (chosen == 'n') {
      arguments.no_huge = true;
    } else if (chosen == 'l') {
      arguments.list = true;
    } else if (chosen == 'h') {
      std::cout << kUsage;
      return 0;
    } else {
      return 2;  // getopt_long said what is wrong
    }
  }
  if (optind < argc) return UsageError(absl::StrCat("\"", argv[optind], "\" is not an option"));
  return -1;
}

// The last CPU of those that the process may use: interrupts and other work gather on the first.
int LastCpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 0;
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
    if (CPU_ISSET(cpu, &set)) return cpu;
  }
  return 0;
}

// Buffers and the tables of 10 M flows.
constexpr uint64_t kHugeBytes = uint64_t{1} << 30;

bool EnoughHugepages() {
  const auto free = runtime::ReadFreeHugepages();
  return std::any_of(free.begin(), free.end(),
                     [](const auto& pages) { return pages.free * pages.page_bytes >= kHugeBytes; });
}

bool InitEal(bool hugepages) {
  std::vector<std::string> words = {"sluice-bench",        "--no-pci", "--no-telemetry",
                                    "--log-level=*:error", "--lcores", absl::StrCat("0@", LastCpu())};
  // Huge pages without files; ordinary memory, which DPDK 22.11 does not take together with --in-memory.
  const std::vector<std::string> huge = {"--in-memory"};
  const std::vector<std::string> ordinary = {
      "--no-huge", "-m", "256", "--no-shconf", "--file-prefix", absl::StrCat("sluice-bench-", getpid())};
  for (const std::string& word : hugepages ? huge : ordinary) words.push_back(word);
  std::vector<char*> arguments;
  std::transform(words.begin(), words.end(), std::back_inserter(arguments),
                 [](std::string& word) { return word.data(); });
  return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  if (const int status = Parse(argc, argv, arguments); status >= 0) return status;
  std::vector<Scenario> rows = Matrix();
  const auto is_whole = [&](const Scenario& row) { return row.Name() == arguments.row; };
  const bool whole = std::any_of(rows.begin(), rows.end(), is_whole);
  std::erase_if(rows, [&](const Scenario& row) {
    return whole ? !is_whole(row) : row.Name().find(arguments.row) == std::string::npos;
  });
  if (rows.empty())
    return UsageError(absl::StrCat("--row ", arguments.row, ": no row has this in its name; --list shows them"));
  if (arguments.list) {
    for (const Scenario& row : rows) std::cout << row.Name() << "\n";
    return 0;
  }
  const bool hugepages = !arguments.no_huge && EnoughHugepages();
  if (!hugepages && !arguments.no_huge) {
    std::cerr << "sluice-bench: less than " << (kHugeBytes >> 20)
              << " MB of free huge pages, so ordinary memory is used and every figure is higher. Remedy: "
                 "sysctl vm.nr_hugepages=512\n";
  }
  if (!InitEal(hugepages)) {
    std::cerr << "sluice-bench: DPDK's EAL did not initialise: " << rte_strerror(rte_errno) << "\n";
    return 1;
  }
  rte_mempool* const buffers =
      rte_pktmbuf_pool_create("bench", kBuffers, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (buffers == nullptr) {
    std::cerr << "sluice-bench: no memory for " << kBuffers << " packet buffers\n";
    return 1;
  }
  int status = 0;
  if (!arguments.json) ReportHead(std::cout);
  for (const Scenario& row : rows) {
    const auto result =
        Measure(row, {.windows = arguments.windows, .window_packets = kWindowPackets, .hugepages = hugepages}, buffers);
    if (!result.ok()) {
      std::cerr << "sluice-bench: " << result.status().message() << "\n";
      status = 1;
    } else if (arguments.json) {
      ReportJson(*result, std::cout);
    } else {
      ReportLine(*result, std::cout);
    }
  }
  rte_mempool_free(buffers);
  rte_eal_cleanup();
  // DPDK leaves the directory of a prefix, empty.
  std::error_code ignored;
  if (!hugepages) std::filesystem::remove(rte_eal_get_runtime_dir(), ignored);
  return status;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) { return sluice::bench::Main(argc, argv); }
