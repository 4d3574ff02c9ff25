#include "controlplane/reconcile/timeouts.h"

#include <gtest/gtest.h>

namespace sluice::reconcile {
namespace {

TEST(FlowTimeouts, FollowTheNode) {
  EXPECT_EQ(ToFlowTimeouts({11, 12, 13, 14, 15}), (lb::FlowTimeouts{11, 12, 13, 14, 15}));
}

}  // namespace
}  // namespace sluice::reconcile
