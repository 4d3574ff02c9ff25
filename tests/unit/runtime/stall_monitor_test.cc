#include <gtest/gtest.h>

#include "dataplane/runtime/view.h"

namespace sluice::runtime {
namespace {

using Change = StallMonitor::Change;

TEST(StallMonitorTest, TellsOfEachStallOnceAndOfItsEndOnce) {
  StallMonitor monitor(2);
  EXPECT_EQ(monitor.Check(0, 10, 5000), Change::kNone);
  EXPECT_EQ(monitor.Check(0, 10, 5000 + StallMonitor::kAlarmMs), Change::kNone);
  EXPECT_FALSE(monitor.Stalled(0));
  EXPECT_EQ(monitor.Check(0, 10, 5001 + StallMonitor::kAlarmMs), Change::kStalled);
  EXPECT_TRUE(monitor.Stalled(0));
  EXPECT_FALSE(monitor.Stalled(1));
  EXPECT_EQ(monitor.Check(0, 10, 9000), Change::kNone) << "it was said already";
  EXPECT_EQ(monitor.Check(0, 11, 9100), Change::kRecovered);
  EXPECT_FALSE(monitor.Stalled(0));
  EXPECT_EQ(monitor.Check(0, 12, 9200), Change::kNone);
  EXPECT_EQ(monitor.Check(0, 12, 20000), Change::kStalled) << "a second stall is told again";
}

TEST(StallMonitorTest, AWorkerThatNeverBeganIsStalledToo) {
  StallMonitor monitor(1);
  EXPECT_EQ(monitor.Check(0, 0, 0), Change::kNone);
  EXPECT_EQ(monitor.Check(0, 0, StallMonitor::kAlarmMs + 1), Change::kStalled);
}

}  // namespace
}  // namespace sluice::runtime
