#include "controlplane/model/lifecycle.h"

#include <gtest/gtest.h>

namespace sluice::model {
namespace {

TEST(Lifecycle, DrainAndUndrainMoveBetweenActiveAndDraining) {
  EXPECT_EQ(Next(Lifecycle::kActive, LifecycleEvent::kDrain), Lifecycle::kDraining);
  EXPECT_EQ(Next(Lifecycle::kDraining, LifecycleEvent::kUndrain), Lifecycle::kActive);
}

TEST(Lifecycle, RepeatedWishesChangeNothing) {
  EXPECT_EQ(Next(Lifecycle::kDraining, LifecycleEvent::kDrain), Lifecycle::kDraining);
  EXPECT_EQ(Next(Lifecycle::kActive, LifecycleEvent::kUndrain), Lifecycle::kActive);
}

TEST(Lifecycle, RemovalIsFinal) {
  EXPECT_EQ(Next(Lifecycle::kActive, LifecycleEvent::kRemove), Lifecycle::kRemoved);
  EXPECT_EQ(Next(Lifecycle::kDraining, LifecycleEvent::kRemove), Lifecycle::kRemoved);
  for (const auto event : {LifecycleEvent::kDrain, LifecycleEvent::kUndrain, LifecycleEvent::kRemove}) {
    EXPECT_EQ(Next(Lifecycle::kRemoved, event), std::nullopt);
  }
}

TEST(Lifecycle, OnlyActiveBackendsWithWeightTakeNewFlows) {
  EXPECT_TRUE(TakesNewFlows(Lifecycle::kActive, 1));
  EXPECT_FALSE(TakesNewFlows(Lifecycle::kActive, 0));
  EXPECT_FALSE(TakesNewFlows(Lifecycle::kDraining, 100));
  EXPECT_FALSE(TakesNewFlows(Lifecycle::kRemoved, 100));
}

}  // namespace
}  // namespace sluice::model
