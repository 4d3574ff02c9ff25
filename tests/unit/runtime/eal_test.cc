#include "dataplane/runtime/eal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_join.h"

namespace sluice::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kMegabyte = 1 << 20;

MemoryPlan Plan() {
  MemoryPlan plan;
  plan.pool_bytes = 100 * kMegabyte;
  plan.connection_bytes = 20 * kMegabyte;
  return plan;
}

std::string Arguments(const std::vector<std::string>& devices, bool hugepages) {
  DataplaneOptions options;
  options.ports.emplace_back().devices = devices;
  const CpuPlan cpus{.worker_cpus = {3, 1}, .control_cpus = {0, 2}};
  return absl::StrJoin(EalArguments(options, cpus, Plan(), hugepages, "sluice-42"), " ");
}

TEST(EalArgumentsTest, MapsLcoresToCpus) {
  EXPECT_THAT(Arguments({"net_null0"}, true), HasSubstr("--lcores 0@(0,2),1@(3),2@(1) --main-lcore 0"));
  EXPECT_EQ(LcoreOfWorker(0), 1u);
}

TEST(EalArgumentsTest, WithoutHugepagesNeverAsksForInMemory) {
  EXPECT_THAT(Arguments({"net_null0"}, false), HasSubstr("--no-huge --no-shconf -m 164"));
  EXPECT_THAT(Arguments({"net_null0"}, false), Not(HasSubstr("--in-memory")));
  EXPECT_THAT(Arguments({"net_null0"}, true), HasSubstr("--in-memory"));
  EXPECT_THAT(Arguments({"net_null0"}, true), Not(HasSubstr("--no-huge")));
}

TEST(EalArgumentsTest, ScansThePciBusForTheNamedDevicesOnly) {
  EXPECT_THAT(Arguments({"net_null0"}, true), HasSubstr("--no-pci"));
  const std::string physical = Arguments({"0000:03:00.0", "net_null0"}, true);
  EXPECT_THAT(physical, HasSubstr("-a 0000:03:00.0"));
  EXPECT_THAT(physical, Not(HasSubstr("--no-pci")));
  EXPECT_THAT(physical, Not(HasSubstr("-a net_null0")));
}

TEST(EalArgumentsTest, LeavesNothingForOthersToMeet) {
  EXPECT_THAT(Arguments({"net_null0"}, true), HasSubstr("--file-prefix sluice-42"));
  EXPECT_THAT(Arguments({"net_null0"}, true), HasSubstr("--no-telemetry"));
}

TEST(DecideHugepagesTest, AutoTakesThemIfThereAreEnough) {
  const FreeHugepages small{.page_bytes = 2 * kMegabyte, .free = 50};
  const FreeHugepages large{.page_bytes = 1024 * kMegabyte, .free = 1};
  EXPECT_FALSE(*DecideHugepages(Hugepages::kAuto, Plan(), {}));
  EXPECT_FALSE(*DecideHugepages(Hugepages::kAuto, Plan(), {small}));
  EXPECT_TRUE(*DecideHugepages(Hugepages::kAuto, Plan(), {small, large}));
  EXPECT_FALSE(*DecideHugepages(Hugepages::kOff, Plan(), {small, large}));
}

TEST(DecideHugepagesTest, RequireSaysHowManyAreMissing) {
  const auto refused = DecideHugepages(Hugepages::kRequire, Plan(), {{.page_bytes = 2 * kMegabyte, .free = 10}});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("20 MB of huge pages are free"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("sysctl vm.nr_hugepages=93"));
  EXPECT_TRUE(*DecideHugepages(Hugepages::kRequire, Plan(), {{.page_bytes = 2 * kMegabyte, .free = 100}}));
}

}  // namespace
}  // namespace sluice::runtime
