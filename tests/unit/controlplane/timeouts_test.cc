#include "controlplane/reconcile/timeouts.h"

#include <gtest/gtest.h>

namespace sluice::reconcile {
namespace {

TEST(FlowTimeouts, FollowTheNode) {
  EXPECT_EQ(ToFlowTimeouts({11, 12, 13, 14, 15}), (lb::FlowTimeouts{11, 12, 13, 14, 15}));
}

TEST(NodePart, SaysWhichDirectorThisIs) {
  config::NodeConfig node;
  EXPECT_EQ(ToNodePart(node).tier_id, 0);
  node.tier_id = 7;
  node.timeouts.udp_s = 99;
  EXPECT_EQ(ToNodePart(node).tier_id, 7);
  EXPECT_EQ(ToNodePart(node).timeouts.udp_s, 99);
}

}  // namespace
}  // namespace sluice::reconcile
