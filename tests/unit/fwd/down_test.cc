#include <gtest/gtest.h>

#include <algorithm>

#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/nat_ladder.h"
#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"

namespace sluice::fwd {
namespace {

using net::kTcpAck;
using net::kTcpRst;
using net::kTcpSyn;

// Flows of a client to VIPs of one pool of two backends, of which the flow's own goes down.
class DownTest : public testing::Test {
 protected:
  DownTest() : counters_(16, 64), tables_(kCapacities, memory_.Source(), NatEnds()) {
    pool_ = fixture_.AddPool();
    spare_ = fixture_.AddPool();
    a_ = fixture_.AddBackend(pool_, "192.0.2.11");
    b_ = fixture_.AddBackend(pool_, "192.0.2.12");
    vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolTcp, 80, pool_);
    udp_vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolUdp, 53, pool_);
    nat_vip_ = fixture_.AddVip("203.0.113.11", net::kProtocolTcp, 80, pool_, ForwardingMode::kFullNat);
    state_ = fixture_.Build();
  }

  static NatSetup NatEnds() {
    NatSetup setup;
    setup.ends.Add(test::Address("192.0.2.2"));
    return setup;
  }

  FlowView View(VipId vip, uint8_t flags) const {
    FlowView flow;
    flow.client = client_.data();
    flow.destination = (vip == nat_vip_ ? nat_address_ : address_).data();
    flow.protocol = vip == udp_vip_ ? net::kProtocolUdp : net::kProtocolTcp;
    flow.tcp_flags = flags;
    flow.client_port = Be16::FromHost(5000);
    flow.destination_port = Be16::FromHost(80);
    flow.vip = vip;
    flow.hash = 12345;
    return flow;
  }
  Selection Send(VipId vip, uint8_t flags = 0) {
    return SelectBackend(*state_, View(vip, flags), now_s_, tables_, counters_);
  }
  NatSelection SendNat(uint8_t flags) {
    return SelectNat(*state_, View(nat_vip_, flags), {.flags = flags}, now_s_, tables_, counters_);
  }
  BackendId Other(BackendId id) const { return id == a_ ? b_ : a_; }
  void Down(BackendId id, OnDown on_down) {
    fixture_.Down(id, on_down);
    state_ = fixture_.Build();
  }
  uint64_t Alive(BackendId id) const {
    return counters_.backends[id.index()].flows_started.Value() - counters_.backends[id.index()].flows_ended.Value();
  }

  static constexpr TableCapacities kCapacities{.v4 = 1024, .v6 = 1024, .wide = 1024, .nat = 1024};
  const net::IpAddress client_ = test::Address("198.51.100.7");
  const net::IpAddress address_ = test::Address("203.0.113.10");
  const net::IpAddress nat_address_ = test::Address("203.0.113.11");
  test::TestMemory memory_;
  test::StateFixture fixture_;
  PoolId pool_, spare_;
  BackendId a_, b_;
  VipId vip_, udp_vip_, nat_vip_;
  std::shared_ptr<const ForwardingState> state_;
  WorkerCounters counters_;
  FlowTables tables_;
  uint32_t now_s_ = 0;
};

TEST_F(DownTest, KeepsConnectionsAndGetsNoNewOnes) {
  const BackendId first = Send(vip_, kTcpSyn).backend;
  Send(vip_, kTcpAck);
  Down(first, OnDown::kKeep);
  EXPECT_EQ(Send(vip_, kTcpAck).backend, first);
  // A SYN on a living connection may be forged.
  EXPECT_EQ(Send(vip_, kTcpSyn).backend, first);
  const std::vector<uint16_t>& slots = state_->pools[pool_.index()]->slots;
  EXPECT_EQ(std::count(slots.begin(), slots.end(), first.value()), 0);
}

TEST_F(DownTest, TheNextConnectionOnTheTupleOfASilentOneBeginsElsewhere) {
  const BackendId first = Send(vip_, kTcpSyn).backend;
  Send(vip_, kTcpAck);
  Down(first, OnDown::kKeep);
  // The server's reset went past the director, and the client was done with the connection.
  ++now_s_;
  const Selection next = Send(vip_, kTcpSyn);
  EXPECT_EQ(next.backend, Other(first));
  EXPECT_EQ(next.rung, Rung::kScheduler);
  EXPECT_EQ(Send(vip_, kTcpAck).backend, Other(first));
  EXPECT_EQ(Alive(first), 0u);
  EXPECT_EQ(Alive(Other(first)), 1u);
  EXPECT_EQ(counters_.vips[vip_.index()].new_flows.Value(), 2u);
  EXPECT_EQ(counters_.rescheduled.Value(), 0u) << "nothing of the old connection goes on";
}

TEST_F(DownTest, ASilentConnectionStays) {
  const BackendId first = Send(vip_, kTcpSyn).backend;
  Send(vip_, kTcpAck);
  Down(first, OnDown::kKeep);
  ++now_s_;
  EXPECT_EQ(Send(vip_, kTcpAck).backend, first);
  // It has just shown life.
  EXPECT_EQ(Send(vip_, kTcpSyn).backend, first);
  ++now_s_;
  EXPECT_EQ(Send(vip_, kTcpSyn | kTcpAck).backend, first) << "begins nothing";
  Down(Other(first), OnDown::kKeep);
  ++now_s_;
  // Where nobody could have it instead, it is not given up.
  EXPECT_FALSE(Send(vip_, kTcpSyn).backend.valid());
  EXPECT_EQ(Send(vip_, kTcpAck).backend, first);
}

TEST_F(DownTest, ASilentConnectionOfABackendThatIsUpOrDrainsIsNotGivenUp) {
  const BackendId first = Send(vip_, kTcpSyn).backend;
  Send(vip_, kTcpAck);
  ++now_s_;
  EXPECT_EQ(Send(vip_, kTcpSyn).backend, first);
  fixture_.Drain(first);
  state_ = fixture_.Build();
  ++now_s_;
  EXPECT_EQ(Send(vip_, kTcpSyn).backend, first);
}

TEST_F(DownTest, WhatIsNotEstablishedIsNotKept) {
  const BackendId first = Send(vip_, kTcpSyn).backend;
  Down(first, OnDown::kKeep);
  EXPECT_EQ(Send(vip_, kTcpSyn).backend, Other(first));
  EXPECT_EQ(Alive(first), 0u);
  EXPECT_EQ(counters_.rescheduled.Value(), 1u);
}

TEST_F(DownTest, ReschedulesOnlyTheFlowsOfTheBackendThatIsDown) {
  const BackendId first = Send(vip_, kTcpSyn).backend;
  Send(vip_, kTcpAck);
  Down(Other(first), OnDown::kReschedule);
  EXPECT_EQ(Send(vip_, kTcpAck).backend, first);
  fixture_.Undrain(Other(first), pool_);
  Down(first, OnDown::kReschedule);
  EXPECT_EQ(Send(vip_, kTcpAck).backend, Other(first));
  EXPECT_EQ(Alive(first), 0u);
  EXPECT_EQ(counters_.rescheduled.Value(), 1u);
}

TEST_F(DownTest, ResetsTcpOnceAndTakesTheNextSynElsewhere) {
  const BackendId first = Send(vip_, kTcpSyn).backend;
  Send(vip_, kTcpAck);
  Down(first, OnDown::kReset);
  const Selection reset = Send(vip_, kTcpAck);
  EXPECT_FALSE(reset.backend.valid());
  EXPECT_EQ(reset.refusal, Refusal::kReset);
  // The client may not have got it.
  EXPECT_EQ(Send(vip_, kTcpAck).refusal, Refusal::kReset);
  // An RST is never answered.
  EXPECT_EQ(Send(vip_, kTcpRst).backend, first);
  EXPECT_EQ(Send(vip_, kTcpSyn).backend, Other(first));
  EXPECT_EQ(Alive(first), 0u);
}

TEST_F(DownTest, UdpIsRescheduledWhereTcpIsReset) {
  const BackendId first = Send(udp_vip_).backend;
  Send(udp_vip_);
  Down(first, OnDown::kReset);
  EXPECT_EQ(Send(udp_vip_).backend, Other(first));
}

TEST_F(DownTest, AFlowIsBackWithItsBackendThatWasDownInBetween) {
  const BackendId first = Send(vip_, kTcpSyn).backend;
  Send(vip_, kTcpAck);
  Down(first, OnDown::kReschedule);
  fixture_.Undrain(first, pool_);
  state_ = fixture_.Build();
  EXPECT_EQ(Send(vip_, kTcpAck).backend, first);
}

TEST_F(DownTest, SessionsOfFullNatAreKeptOrReset) {
  const BackendId first = SendNat(kTcpSyn).selection.backend;
  ASSERT_TRUE(first.valid());
  SendNat(kTcpAck);
  Down(first, OnDown::kKeep);
  EXPECT_EQ(SendNat(kTcpAck).selection.backend, first);
  for (const OnDown on_down : {OnDown::kReset, OnDown::kReschedule}) {
    SCOPED_TRACE(static_cast<int>(on_down));
    Down(first, on_down);
    const NatSelection reset = SendNat(kTcpAck);
    EXPECT_FALSE(reset.selection.backend.valid());
    EXPECT_EQ(reset.selection.refusal, Refusal::kReset);
    // Its end is no business of the next one.
    EXPECT_EQ(SendNat(kTcpAck).selection.reason, DropReason::kNatNoSession);
    EXPECT_EQ(SendNat(kTcpSyn).selection.backend, Other(first));
    EXPECT_EQ(Alive(first), 0u);
    // Back to where it began.
    fixture_.Undrain(first, pool_);
    Down(Other(first), OnDown::kReschedule);
    EXPECT_EQ(SendNat(kTcpSyn).selection.backend, first);
    SendNat(kTcpAck);
    fixture_.Undrain(Other(first), pool_);
  }
}

TEST_F(DownTest, TheBackupTakesNewFlowsWhileThePoolHasNoBackend) {
  const BackendId spare = fixture_.AddBackend(spare_, "192.0.2.20");
  fixture_.spec().pools[pool_.index()].backup = spare_;
  fixture_.Vip(vip_).entry.no_backend = Refusal::kReset;
  const BackendId first = Send(vip_, kTcpSyn).backend;
  Send(vip_, kTcpAck);
  Down(Other(first), OnDown::kReschedule);
  EXPECT_EQ(Send(vip_, kTcpAck).backend, first);
  Down(first, OnDown::kReschedule);
  EXPECT_EQ(Send(vip_, kTcpAck).backend, spare);
  // It keeps what it got.
  fixture_.Undrain(first, pool_);
  state_ = fixture_.Build();
  EXPECT_EQ(Send(vip_, kTcpAck).backend, spare);
  Down(first, OnDown::kReschedule);
  Down(spare, OnDown::kReschedule);
  EXPECT_EQ(Send(vip_, kTcpAck).refusal, Refusal::kReset);
}

TEST_F(DownTest, AnswersOfTheBackupThroughTheNatAreThoseOfTheVip) {
  const BackendId spare = fixture_.AddBackend(spare_, "192.0.2.20");
  fixture_.spec().pools[pool_.index()].backup = spare_;
  const VipId vip = fixture_.AddVip("203.0.113.12", net::kProtocolTcp, 80, pool_, ForwardingMode::kNat);
  state_ = fixture_.Build();
  const auto match = [&](const char* address) {
    return state_->returns->LookupV4(test::Address(address).v4(), net::kProtocolTcp, Be16::FromHost(80));
  };
  // Whichever of the two is in use: what the backup got stays there.
  for (const OnDown on_down : {OnDown::kKeep, OnDown::kReschedule}) {
    for (const char* address : {"192.0.2.11", "192.0.2.20"}) {
      ASSERT_EQ(match(address).kind, lb::ReturnMatch::Kind::kUnique) << address;
      EXPECT_EQ(match(address).services[0].vip, vip) << address;
    }
    EXPECT_FALSE((*state_->vips)[vip.index()].nat_sessions);
    Down(a_, on_down);
    Down(b_, on_down);
    EXPECT_EQ((*state_->vips)[vip.index()].pool, spare_);
  }
  EXPECT_EQ(ScheduleFlow(*state_, View(vip, kTcpSyn)), spare);
}

TEST_F(DownTest, ABackupMustBeAnotherPool) {
  fixture_.spec().pools[pool_.index()].backup = pool_;
  EXPECT_FALSE(BuildState(fixture_.spec(), 9, nullptr).ok());
  fixture_.spec().pools[pool_.index()].backup = PoolId(77);
  EXPECT_FALSE(BuildState(fixture_.spec(), 9, nullptr).ok());
}

}  // namespace
}  // namespace sluice::fwd
