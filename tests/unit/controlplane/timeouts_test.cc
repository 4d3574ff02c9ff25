#include "controlplane/reconcile/timeouts.h"

#include <gtest/gtest.h>

#include <tuple>

#include "controlplane/reconcile/reconciler.h"
#include "tests/unit/controlplane/reconciler_fixture.h"

namespace sluice::reconcile {
namespace {

TEST(FlowTimeouts, FollowTheNode) {
  EXPECT_EQ(ToFlowTimeouts({11, 12, 13, 14, 15}), (lb::FlowTimeouts{11, 12, 13, 14, 15}));
}

TEST(FlowTimeouts, WithQuicAreHalfAMinuteUnlessTheVipSaysMore) {
  for (const auto& [node_s, vip_s, expected_s] :
       {std::tuple(120, 0, 30), std::tuple(5, 0, 5), std::tuple(120, 90, 90), std::tuple(5, 7, 7)}) {
    FakeDataplane dataplane;
    const lb::FlowTimeouts node = {.udp_s = static_cast<uint16_t>(node_s)};
    Reconciler reconciler(kLimits, ValidateSample, dataplane, dataplane, {.timeouts = node});
    config::ServiceConfig services = SampleServices();
    config::VipConfig& vip = services.vips[0];
    vip.protocol = config::Protocol::kUdp;
    vip.quic = true;
    if (vip_s > 0) vip.timeouts.udp_s = vip_s;
    services.quic_configs = {{.number = 0, .server_id_bytes = 2, .nonce_bytes = 6}};
    ASSERT_TRUE(reconciler.Apply(services).ok());
    EXPECT_EQ((*dataplane.newest().vips)[(*reconciler.Current().registry->FindVip("www")).id.index()].timeouts.udp_s,
              expected_s);
  }
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
