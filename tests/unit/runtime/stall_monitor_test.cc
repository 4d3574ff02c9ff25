#include <gtest/gtest.h>

#include "dataplane/runtime/view.h"

namespace sluice::runtime {
namespace {

TEST(StallMonitorTest, AlarmsOnceForEachStall) {
  StallMonitor monitor(2);
  EXPECT_FALSE(monitor.Check(0, 10, 5000));
  EXPECT_FALSE(monitor.Check(0, 10, 5000 + StallMonitor::kAlarmMs));
  EXPECT_FALSE(monitor.Stalled(0));
  EXPECT_TRUE(monitor.Check(0, 10, 5001 + StallMonitor::kAlarmMs));
  EXPECT_TRUE(monitor.Stalled(0));
  EXPECT_FALSE(monitor.Stalled(1));
  EXPECT_FALSE(monitor.Check(0, 10, 9000)) << "it was said already";
  EXPECT_FALSE(monitor.Check(0, 11, 9100));
  EXPECT_FALSE(monitor.Stalled(0));
  EXPECT_TRUE(monitor.Check(0, 11, 20000)) << "a second stall is told again";
}

TEST(StallMonitorTest, AWorkerThatNeverBeganIsStalledToo) {
  StallMonitor monitor(1);
  EXPECT_FALSE(monitor.Check(0, 0, 0));
  EXPECT_TRUE(monitor.Check(0, 0, StallMonitor::kAlarmMs + 1));
}

}  // namespace
}  // namespace sluice::runtime
