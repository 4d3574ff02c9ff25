#include "dataplane/fwd/homes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "dataplane/fwd/flow_lookup.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"

namespace sluice::fwd {
namespace {

using net::kTcpAck;
using net::kTcpFin;
using net::kTcpSyn;

constexpr uint32_t kHold = 100;

// Flows of a VIP of which only unsafe ones are tracked.
class HomesTest : public testing::Test {
 protected:
  HomesTest() : counters_(16, 64), tables_({.v4 = 2000, .v6 = 1000, .wide = 1000}, memory_.Source()) {
    pool_ = fixture_.AddPool();
    for (int i = 0; i < 4; ++i) fixture_.AddBackend(pool_, "192.0.2.1" + std::to_string(i));
    vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolTcp, 80, pool_);
    fixture_.Vip(vip_).entry.unsafe_only = true;
    fixture_.Vip(vip_).entry.timeouts.tcp_established_s = kHold;
    Build(0);
  }

  void Build(uint32_t now_s) {
    fixture_.spec().now_s = now_s;
    state_ = fixture_.Build();
  }

  Selection Send(uint32_t client, uint8_t tcp_flags, uint32_t now_s = 0, bool related = false) {
    const uint32_t raw = Be32::FromHost(client).raw();
    FlowView flow{.client = reinterpret_cast<const uint8_t*>(&raw),
                  .destination = reinterpret_cast<const uint8_t*>(&raw),
                  .protocol = net::kProtocolTcp,
                  .tcp_flags = tcp_flags,
                  .related = related,
                  .client_port = Be16::FromHost(5000),
                  .destination_port = Be16::FromHost(80),
                  .vip = vip_,
                  .hash = Hash(client)};
    return SelectBackend(*state_, flow, now_s, tables_, counters_);
  }

  uint64_t Hash(uint32_t client) const { return test::HashOfClient(*state_->keys, client); }

  // The first client whose connection has the backend now.
  uint32_t ClientOf(BackendId backend) const {
    for (uint32_t client = 1;; ++client) {
      const auto& slots = state_->pools[0]->slots;
      if (slots[lb::SlotOf(Hash(client), static_cast<uint32_t>(slots.size()))] == backend.value()) return client;
    }
  }

  uint64_t entries() const { return counters_.table_v4.inserted.Value(); }
  const PoolTable& table() const { return *state_->pools[0]; }
  size_t UnsafeSlots() const {
    return static_cast<size_t>(std::count(table().unsafe.begin(), table().unsafe.end(), true));
  }

  test::TestMemory memory_;
  test::StateFixture fixture_;
  PoolId pool_;
  VipId vip_;
  std::shared_ptr<const ForwardingState> state_;
  WorkerCounters counters_;
  FlowTables tables_;
};

TEST_F(HomesTest, NothingIsRememberedWhileAllBackendsAreThere) {
  for (uint32_t client = 0; client < 200; ++client) {
    const Selection first = Send(client, kTcpSyn);
    EXPECT_EQ(first.rung, Rung::kSafe);
    const Selection next = Send(client, kTcpAck);
    EXPECT_EQ(next.rung, Rung::kSafe);
    EXPECT_EQ(next.backend, first.backend);
  }
  EXPECT_EQ(entries(), 0u);
  EXPECT_EQ(UnsafeSlots(), 0u);
  EXPECT_EQ(counters_.vips[vip_.index()].new_flows.Value(), 200u);
  EXPECT_EQ(counters_.unprotected.unknown.Value(), 0u);
}

TEST_F(HomesTest, ADrainingBackendKeepsConnectionsThatNobodyRemembers) {
  const uint32_t old_client = ClientOf(BackendId(2));
  Send(old_client, kTcpSyn);
  fixture_.Drain(BackendId(2));
  Build(1);
  const Selection goes_on = Send(old_client, kTcpAck, 1);
  EXPECT_EQ(goes_on.backend, BackendId(2));
  EXPECT_EQ(goes_on.rung, Rung::kScheduler) << "it is remembered from now on";
  EXPECT_EQ(entries(), 1u);
  EXPECT_EQ(Send(old_client, kTcpAck, 1).rung, Rung::kConnectionTable);
  EXPECT_EQ(counters_.unprotected.unknown.Value(), 0u);

  // A new one in the same slot goes to its owner, and stays there when the backend is back.
  uint32_t other = old_client + 1;
  while (lb::SlotOf(Hash(other), 1009) != lb::SlotOf(Hash(old_client), 1009)) ++other;
  const Selection begins = Send(other, kTcpSyn, 1);
  EXPECT_NE(begins.backend, BackendId(2));
  EXPECT_EQ(begins.rung, Rung::kScheduler);
  fixture_.Undrain(BackendId(2), pool_);
  Build(2);
  EXPECT_EQ(Send(other, kTcpAck, 2).backend, begins.backend);
  EXPECT_EQ(Send(old_client, kTcpAck, 2).backend, BackendId(2));
  EXPECT_EQ(UnsafeSlots(), 0u);
}

TEST_F(HomesTest, ErrorsAboutAConnectionFindItsHome) {
  const uint32_t client = ClientOf(BackendId(2));
  fixture_.Drain(BackendId(2));
  Build(1);
  EXPECT_EQ(Send(client, kTcpAck, 1, true).backend, BackendId(2));
  EXPECT_EQ(entries(), 0u);
}

TEST_F(HomesTest, ADownBackendKeepsThemAsOnDownSays) {
  const uint32_t client = ClientOf(BackendId(1));
  fixture_.Down(BackendId(1), OnDown::kKeep);
  Build(1);
  EXPECT_EQ(Send(client, kTcpAck, 1).backend, BackendId(1));
  fixture_.Down(BackendId(1), OnDown::kReschedule);
  Build(2);
  uint32_t other = client + 1;
  while (lb::SlotOf(Hash(other), 1009) != lb::SlotOf(Hash(client), 1009)) ++other;
  const Selection moved = Send(other, kTcpAck, 2);
  EXPECT_NE(moved.backend, BackendId(1));
  EXPECT_EQ(counters_.unprotected.unknown.Value(), 1u) << "nobody could keep it";
  fixture_.Undrain(BackendId(1), pool_);
  Build(3);
  EXPECT_EQ(Send(other, kTcpAck, 3).backend, moved.backend);
}

TEST_F(HomesTest, TheLastBackendMayDrain) {
  const uint32_t client = ClientOf(BackendId(0));
  for (uint16_t id = 0; id < 4; ++id) fixture_.Drain(BackendId(id));
  Build(1);
  EXPECT_EQ(Send(client, kTcpAck, 1).backend, BackendId(0));
  EXPECT_FALSE(Send(client + 1000, kTcpSyn, 1).backend.valid());
}

TEST_F(HomesTest, ABackendThatIsAddedTakesNoConnectionThatNobodyRemembers) {
  std::map<uint32_t, BackendId> chosen;
  for (uint32_t client = 0; client < 300; ++client) chosen[client] = Send(client, kTcpSyn).backend;
  const BackendId added = fixture_.AddBackend(pool_, "192.0.2.20", 2);
  Build(10);
  EXPECT_TRUE(table().homes_held);
  // What says nothing in time is no connection any more, as with the table.
  for (uint32_t client = 0; client < 300; ++client) {
    ASSERT_EQ(Send(client, kTcpAck, 20).backend, chosen[client]) << client;
  }
  const uint64_t entered = entries();
  EXPECT_GT(entered, 50u);
  EXPECT_LT(entered, 200u);
  // Another change meanwhile lets them wait longer.
  fixture_.Drain(BackendId(3));
  Build(10 + kHold - 1);
  EXPECT_TRUE(table().homes_held);
  for (uint32_t client = 0; client < 300; ++client) Send(client, kTcpAck, 10 + kHold - 1);
  Build(10 + kHold);
  EXPECT_FALSE(table().homes_held);
  fixture_.Undrain(BackendId(3), pool_);
  Build(10 + kHold + 1);
  EXPECT_EQ(UnsafeSlots(), 0u);
  for (uint32_t client = 0; client < 300; ++client) {
    ASSERT_EQ(Send(client, kTcpAck, 10 + kHold + 1).backend, chosen[client]) << client;
  }
  const uint32_t of_added = ClientOf(added);
  EXPECT_EQ(Send(of_added + (1u << 20), kTcpSyn, 10 + kHold + 1).rung, Rung::kSafe);
}

TEST_F(HomesTest, LessWeightTakesNothingAway) {
  std::map<uint32_t, BackendId> chosen;
  for (uint32_t client = 0; client < 300; ++client) chosen[client] = Send(client, kTcpSyn).backend;
  for (uint16_t id = 1; id < 4; ++id) {
    fixture_.Drain(BackendId(id));
    fixture_.Undrain(BackendId(id), pool_, 9);
  }
  Build(1);
  for (const auto& [client, backend] : chosen) ASSERT_EQ(Send(client, kTcpAck, 1).backend, backend) << client;
}

TEST_F(HomesTest, ARemovedBackendsSlotsGoHomeElsewhereAtOnce) {
  fixture_.Remove(BackendId(1));
  Build(1);
  for (size_t slot = 0; slot < table().homes.size(); ++slot) EXPECT_NE(table().homes[slot], 1u);
  EXPECT_LT(UnsafeSlots(), table().homes.size() / 4) << "those that moved between backends that stay";
}

TEST_F(HomesTest, WithoutSuchAVipThereAreNoHomes) {
  fixture_.Vip(vip_).entry.unsafe_only = false;
  Build(1);
  EXPECT_TRUE(table().homes.empty());
  fixture_.Vip(vip_).entry.unsafe_only = true;
  Build(2);
  EXPECT_EQ(table().homes.size(), 1009u);
}

TEST_F(HomesTest, WhatIsAskedForIsWhatWouldHappen) {
  const uint32_t client = ClientOf(BackendId(2));
  const auto ask = [&] {
    const FlowQuestion question = {.client = net::IpAddress::V4(Be32::FromHost(client)),
                                   .destination = test::Address("203.0.113.10"),
                                   .client_port = Be16::FromHost(5000),
                                   .destination_port = Be16::FromHost(80),
                                   .protocol = net::kProtocolTcp};
    return LookUpFlow(*state_, question, 1, tables_, counters_);
  };
  const FlowFinding safe = ask();
  EXPECT_EQ(safe.rung, Rung::kSafe);
  EXPECT_EQ(safe.home, safe.backend);
  fixture_.Drain(safe.backend);
  Build(1);
  const FlowFinding unsafe = ask();
  EXPECT_EQ(unsafe.rung, Rung::kScheduler);
  EXPECT_EQ(unsafe.home, safe.backend);
  EXPECT_NE(unsafe.backend, safe.backend);
}

}  // namespace
}  // namespace sluice::fwd
