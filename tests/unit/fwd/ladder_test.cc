#include "dataplane/fwd/ladder.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"

namespace sluice::fwd {
namespace {

using net::kTcpAck;
using net::kTcpFin;
using net::kTcpRst;
using net::kTcpSyn;

// A client's flows through the ladder against a state that the test changes.
class LadderTest : public testing::Test {
 protected:
  LadderTest() : counters_(16, 64), tables_(1000, 1000, kTimeouts, memory_.Source()) {
    pool_ = fixture_.AddPool();
    for (int i = 0; i < 4; ++i) fixture_.AddBackend(pool_, "192.0.2.1" + std::to_string(i));
    vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolTcp, 80, pool_);
    udp_vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolUdp, 53, pool_);
    state_ = fixture_.Build();
  }

  Selection Send(uint32_t client, uint8_t tcp_flags, uint32_t now_s = 0) {
    return SendTo(vip_, net::kProtocolTcp, client, tcp_flags, now_s);
  }

  Selection SendTo(VipId vip, uint8_t protocol, uint32_t client, uint8_t tcp_flags, uint32_t now_s) {
    const Be32 address = Be32::FromHost(client);
    const uint32_t raw = address.raw();
    const FlowView flow = {.client = reinterpret_cast<const uint8_t*>(&raw),
                           .family = net::Family::kIpv4,
                           .protocol = protocol,
                           .tcp_flags = tcp_flags,
                           .client_port = Be16::FromHost(5000),
                           .destination_port = Be16::FromHost(80),
                           .vip = vip,
                           .hash = Hash(client)};
    return SelectBackend(*state_, flow, now_s, tables_, counters_);
  }

  uint64_t Hash(uint32_t client) const {
    const Be32 address = Be32::FromHost(client);
    const uint32_t raw = address.raw();
    const lb::FlowTuple tuple = {.source = reinterpret_cast<const uint8_t*>(&raw),
                                 .destination = reinterpret_cast<const uint8_t*>(&raw),
                                 .source_port = {},
                                 .destination_port = {},
                                 .protocol = 6,
                                 .family = net::Family::kIpv4};
    return lb::FlowHashPortable(*state_->keys, tuple);
  }

  uint64_t Alive(BackendId id) const {
    return counters_.backends[id.index()].flows_started.Value() - counters_.backends[id.index()].flows_ended.Value();
  }

  void SweepAll(uint32_t now_s) {
    while (!tables_.Sweep(100, now_s, *state_, counters_)) {
    }
  }

  static constexpr lb::FlowTimeouts kTimeouts{
      .tcp_syn_s = 10, .tcp_established_s = 100, .tcp_closing_s = 20, .tcp_reset_s = 5, .udp_s = 30};
  test::TestMemory memory_;
  test::StateFixture fixture_;
  PoolId pool_;
  VipId vip_;
  VipId udp_vip_;
  std::shared_ptr<const ForwardingState> state_;
  WorkerCounters counters_;
  FlowTables tables_;
};

TEST_F(LadderTest, FirstPacketIsScheduledLaterOnesAreRemembered) {
  const Selection first = Send(1, kTcpSyn);
  EXPECT_EQ(first.rung, Rung::kScheduler);
  const auto& slots = state_->pools[0]->slots;
  EXPECT_EQ(first.backend.value(), slots[lb::SlotOf(Hash(1), static_cast<uint32_t>(slots.size()))]);
  const Selection second = Send(1, kTcpAck);
  EXPECT_EQ(second.rung, Rung::kConnectionTable);
  EXPECT_EQ(second.backend, first.backend);
  EXPECT_EQ(Alive(first.backend), 1u);
  EXPECT_EQ(counters_.vips[vip_.index()].new_flows.Value(), 1u);
}

TEST_F(LadderTest, EveryChangeOfOtherBackendsLeavesConnectionsAlone) {
  std::map<uint32_t, BackendId> chosen;
  for (uint32_t client = 0; client < 300; ++client) chosen[client] = Send(client, kTcpSyn).backend;
  std::set<BackendId> used;
  for (const auto& [client, backend] : chosen) used.insert(backend);
  ASSERT_EQ(used.size(), 4u);

  const auto expect_unmoved = [&](BackendId except) {
    for (const auto& [client, backend] : chosen) {
      if (backend != except) {
        ASSERT_EQ(Send(client, kTcpAck).backend, backend) << client;
      }
    }
  };
  const BackendId added = fixture_.AddBackend(pool_, "192.0.2.20", 5);
  state_ = fixture_.Build();
  expect_unmoved(BackendId());
  fixture_.Drain(BackendId(0));
  state_ = fixture_.Build();
  expect_unmoved(BackendId());
  fixture_.Undrain(BackendId(0), pool_, 9);
  state_ = fixture_.Build();
  expect_unmoved(BackendId());
  fixture_.Remove(added);
  state_ = fixture_.Build();
  expect_unmoved(BackendId());
  fixture_.Remove(BackendId(1));
  state_ = fixture_.Build();
  expect_unmoved(BackendId(1));
}

TEST_F(LadderTest, ADrainingBackendGetsNoNewFlows) {
  fixture_.Drain(BackendId(2));
  state_ = fixture_.Build();
  for (uint32_t client = 0; client < 500; ++client) EXPECT_NE(Send(client, kTcpSyn).backend, BackendId(2));
}

TEST_F(LadderTest, FlowsOfARemovedBackendGetANewOneAndStay) {
  uint32_t client = 0;
  while (Send(client, kTcpSyn).backend != BackendId(3)) ++client;
  fixture_.Remove(BackendId(3));
  state_ = fixture_.Build();
  const Selection moved = Send(client, kTcpAck);
  EXPECT_NE(moved.backend, BackendId(3));
  EXPECT_TRUE(moved.backend.valid());
  EXPECT_EQ(moved.rung, Rung::kScheduler);
  EXPECT_EQ(counters_.rescheduled.Value(), 1u);
  EXPECT_EQ(Send(client, kTcpAck).rung, Rung::kConnectionTable);
  EXPECT_EQ(Send(client, kTcpAck).backend, moved.backend);
}

TEST_F(LadderTest, AReusedIdDoesNotInheritFlows) {
  uint32_t client = 0;
  while (Send(client, kTcpSyn).backend != BackendId(3)) ++client;
  fixture_.Remove(BackendId(3));
  fixture_.Reuse(BackendId(3), pool_, "192.0.2.99");
  state_ = fixture_.Build();
  const Selection selection = Send(client, kTcpAck);
  EXPECT_EQ(selection.rung, Rung::kScheduler);
  EXPECT_EQ(counters_.rescheduled.Value(), 1u);
}

TEST_F(LadderTest, NoBackendDropsAndSaysSo) {
  for (uint16_t i = 0; i < 4; ++i) fixture_.Drain(BackendId(i));
  state_ = fixture_.Build();
  const Selection selection = Send(1, kTcpSyn);
  EXPECT_FALSE(selection.backend.valid());
  EXPECT_EQ(selection.rung, Rung::kNone);
  EXPECT_EQ(selection.reason, DropReason::kNoBackend);
}

TEST_F(LadderTest, AClosedTupleBeginsAnewOnASyn) {
  const BackendId first = Send(1, kTcpSyn).backend;
  Send(1, kTcpAck);
  // A SYN on the living connection moves nothing, even when the table would choose differently now.
  fixture_.Drain(first);
  state_ = fixture_.Build();
  EXPECT_EQ(Send(1, kTcpSyn).backend, first);
  Send(1, kTcpFin | kTcpAck);
  EXPECT_EQ(Send(1, kTcpAck).backend, first);
  const Selection anew = Send(1, kTcpSyn);
  EXPECT_EQ(anew.rung, Rung::kScheduler);
  EXPECT_NE(anew.backend, first);
  EXPECT_EQ(Alive(first), 0u);
  EXPECT_EQ(Alive(anew.backend), 1u);
}

TEST_F(LadderTest, AResetOfAnUnknownFlowLeavesNoEntry) {
  EXPECT_EQ(Send(1, kTcpRst).rung, Rung::kScheduler);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
  EXPECT_EQ(Send(1, kTcpAck).rung, Rung::kScheduler);
}

TEST_F(LadderTest, SweepEndsFlowsByTheirState) {
  const BackendId syn = Send(1, kTcpSyn).backend;
  Send(2, kTcpSyn);
  const BackendId established = Send(2, kTcpAck).backend;
  const BackendId udp = SendTo(udp_vip_, net::kProtocolUdp, 3, 0, 0).backend;
  std::map<BackendId, int> before;
  ++before[syn], ++before[established], ++before[udp];
  SweepAll(9);
  EXPECT_EQ(counters_.table_v4.expired.Value(), 0u);
  SweepAll(10);
  EXPECT_EQ(counters_.table_v4.expired.Value(), 1u);
  SweepAll(30);
  EXPECT_EQ(counters_.table_v4.expired.Value(), 2u);
  // Traffic keeps a flow alive.
  Send(2, kTcpAck, 90);
  SweepAll(110);
  EXPECT_EQ(counters_.table_v4.expired.Value(), 2u);
  SweepAll(190);
  EXPECT_EQ(counters_.table_v4.expired.Value(), 3u);
  for (const auto& [id, n] : before) EXPECT_EQ(Alive(id), 0u);
}

TEST_F(LadderTest, SweepEndsFlowsOfRemovedBackendsAndSaysFromWhichGenerationOn) {
  for (uint32_t client = 0; client < 100; ++client) Send(client, kTcpSyn);
  const uint64_t alive = Alive(BackendId(1));
  ASSERT_GT(alive, 0u);
  SweepAll(1);
  EXPECT_EQ(counters_.swept_generation.Value(), state_->generation);
  fixture_.Remove(BackendId(1));
  const auto before = state_;
  // A pass that began under the old state does not vouch for the new one.
  ASSERT_FALSE(tables_.Sweep(1, 1, *before, counters_));
  state_ = fixture_.Build();
  SweepAll(1);
  EXPECT_EQ(counters_.swept_generation.Value(), before->generation);
  SweepAll(1);
  EXPECT_EQ(counters_.swept_generation.Value(), state_->generation);
  EXPECT_EQ(Alive(BackendId(1)), 0u);
}

TEST_F(LadderTest, AFullTableFallsBackToTheHash) {
  FlowTables tiny(2, 2, kTimeouts, memory_.Source());
  std::swap(tiny, tables_);
  std::map<uint32_t, Selection> chosen;
  for (uint32_t client = 0; client < 50; ++client) chosen[client] = Send(client, kTcpSyn);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 4u);
  EXPECT_EQ(counters_.table_v4.insert_full.Value(), 46u);
  EXPECT_EQ(counters_.rungs[static_cast<size_t>(Rung::kSchedulerNoEntry)].Value(), 46u);
  for (const auto& [client, selection] : chosen) EXPECT_EQ(Send(client, kTcpAck).backend, selection.backend);
}

TEST_F(LadderTest, Ipv6FlowsHaveATableOfTheirOwn) {
  const VipId vip = fixture_.AddVip("2001:db8::10", net::kProtocolTcp, 80, pool_);
  state_ = fixture_.Build();
  const net::IpAddress client = test::Address("2001:db8:1::5");
  FlowView flow = {.client = client.data(),
                   .family = net::Family::kIpv6,
                   .protocol = net::kProtocolTcp,
                   .tcp_flags = kTcpSyn,
                   .client_port = Be16::FromHost(1),
                   .destination_port = Be16::FromHost(80),
                   .vip = vip,
                   .hash = 42};
  const BackendId backend = SelectBackend(*state_, flow, 0, tables_, counters_).backend;
  EXPECT_EQ(counters_.table_v6.inserted.Value(), 1u);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
  flow.tcp_flags = kTcpAck;
  const Selection again = SelectBackend(*state_, flow, 0, tables_, counters_);
  EXPECT_EQ(again.rung, Rung::kConnectionTable);
  EXPECT_EQ(again.backend, backend);
}

}  // namespace
}  // namespace sluice::fwd
