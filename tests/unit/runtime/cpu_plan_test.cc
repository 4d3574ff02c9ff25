#include "dataplane/runtime/cpu_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sluice::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(const absl::StatusOr<CpuPlan>& plan) { return std::string(plan.status().message()); }

TEST(CpuPlanTest, TakesTheLastCpusAndLeavesTheOthersToControlThreads) {
  const auto plan = PlanCpus({0, 1, 2, 5}, {}, 2);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->worker_cpus, ElementsAre(5, 2));
  EXPECT_THAT(plan->control_cpus, ElementsAre(0, 1));
  EXPECT_FALSE(plan->shared);
}

TEST(CpuPlanTest, KeepsTheOrderOfChosenCpus) {
  const auto plan = PlanCpus({0, 1, 2, 3}, {1, 3}, 2);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->worker_cpus, ElementsAre(1, 3));
  EXPECT_THAT(plan->control_cpus, ElementsAre(0, 2));
}

TEST(CpuPlanTest, SharesWhenWorkersTakeAllCpus) {
  const auto plan = PlanCpus({0, 1}, {}, 2);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->worker_cpus, ElementsAre(1, 0));
  EXPECT_THAT(plan->control_cpus, ElementsAre(0, 1));
  EXPECT_TRUE(plan->shared);
}

TEST(CpuPlanTest, RefusesWithTheCpuAndTheRemedy) {
  EXPECT_THAT(ErrorOf(PlanCpus({0, 1}, {}, 3)), HasSubstr("workers.count is 3"));
  EXPECT_THAT(ErrorOf(PlanCpus({0, 1}, {}, 0)), HasSubstr("workers.count is 0"));
  EXPECT_THAT(ErrorOf(PlanCpus({0, 1, 2}, {2}, 2)), HasSubstr("names 1 CPUs (2) for workers.count 2"));
  EXPECT_THAT(ErrorOf(PlanCpus({0, 1, 2}, {2, 2}, 2)), HasSubstr("CPU 2 twice"));
  EXPECT_THAT(ErrorOf(PlanCpus({0, 1, 2}, {2, 7}, 2)),
              HasSubstr("CPU 7, which this process may not use; allowed are 0-2"));
}

TEST(CpuPlanTest, KnowsTheCpusOfThisProcess) {
  const auto cpus = AllowedCpus();
  ASSERT_TRUE(cpus.ok()) << cpus.status();
  EXPECT_FALSE(cpus->empty());
}

}  // namespace
}  // namespace sluice::runtime
