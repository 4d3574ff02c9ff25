#include "dataplane/lb/flow_state.h"

#include <gtest/gtest.h>

#include "dataplane/net/headers.h"

namespace sluice::lb {
namespace {

using net::kTcpAck;
using net::kTcpFin;
using net::kTcpRst;
using net::kTcpSyn;

constexpr uint8_t kTcp = net::kProtocolTcp;
constexpr uint8_t kUdp = net::kProtocolUdp;

TEST(FlowStateTest, FirstPacketDecides) {
  EXPECT_EQ(FirstState(kTcp, kTcpSyn), FlowState::kNew);
  EXPECT_EQ(FirstState(kTcp, kTcpAck), FlowState::kNew);
  EXPECT_EQ(FirstState(kTcp, kTcpFin | kTcpAck), FlowState::kClosing);
  EXPECT_EQ(FirstState(kTcp, kTcpRst), FlowState::kReset);
  EXPECT_EQ(FirstState(kUdp, 0), FlowState::kUdpNew);
  EXPECT_EQ(NextState(FlowState::kUdpNew, 0), FlowState::kUdp);
}

TEST(FlowStateTest, ALifeOfAConnection) {
  FlowState state = FirstState(kTcp, kTcpSyn);
  state = NextState(state, kTcpSyn);
  EXPECT_EQ(state, FlowState::kNew);
  state = NextState(state, kTcpAck);
  EXPECT_EQ(state, FlowState::kEstablished);
  // A SYN cannot push a living connection back to the short timeout.
  EXPECT_EQ(NextState(state, kTcpSyn), FlowState::kEstablished);
  EXPECT_FALSE(BeginsAnew(state, kTcpSyn));
  state = NextState(state, kTcpFin | kTcpAck);
  EXPECT_EQ(state, FlowState::kClosing);
  // The client may go on to acknowledge.
  EXPECT_EQ(NextState(state, kTcpAck), FlowState::kClosing);
  EXPECT_TRUE(BeginsAnew(state, kTcpSyn));
  EXPECT_FALSE(BeginsAnew(state, kTcpAck));
}

TEST(FlowStateTest, AForgedResetIsForgotten) {
  const FlowState reset = NextState(FlowState::kEstablished, kTcpRst);
  EXPECT_EQ(reset, FlowState::kReset);
  EXPECT_EQ(NextState(reset, kTcpAck), FlowState::kEstablished);
  EXPECT_TRUE(BeginsAnew(reset, kTcpSyn));
}

TEST(FlowStateTest, AForgedFinIsForgottenWhenTheClientPushesData) {
  const FlowState closing = NextState(FlowState::kEstablished, kTcpFin | kTcpAck);
  EXPECT_EQ(NextState(closing, kTcpAck), FlowState::kClosing);
  EXPECT_EQ(NextState(closing, kTcpAck | net::kTcpPsh), FlowState::kEstablished);
}

TEST(FlowStateTest, OnePacketConfirmsNothing) {
  EXPECT_TRUE(IsUnconfirmed(FirstState(kTcp, kTcpSyn)));
  EXPECT_TRUE(IsUnconfirmed(FirstState(kTcp, kTcpAck)));
  EXPECT_TRUE(IsUnconfirmed(FirstState(kUdp, 0)));
  EXPECT_FALSE(IsUnconfirmed(NextState(FlowState::kNew, kTcpAck)));
  EXPECT_FALSE(IsUnconfirmed(NextState(FlowState::kUdpNew, 0)));
}

TEST(FlowStateTest, TimeoutsByState) {
  const FlowTimeouts t{.tcp_syn_s = 1, .tcp_established_s = 2, .tcp_closing_s = 3, .tcp_reset_s = 4, .udp_s = 5};
  EXPECT_EQ(TimeoutOf(FlowState::kNew, t), 1u);
  EXPECT_EQ(TimeoutOf(FlowState::kEstablished, t), 2u);
  EXPECT_EQ(TimeoutOf(FlowState::kClosing, t), 3u);
  EXPECT_EQ(TimeoutOf(FlowState::kReset, t), 4u);
  EXPECT_EQ(TimeoutOf(FlowState::kUdpNew, t), 5u);
  EXPECT_EQ(TimeoutOf(FlowState::kUdp, t), 5u);
}

}  // namespace
}  // namespace sluice::lb
