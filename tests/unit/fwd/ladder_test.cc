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
  LadderTest() : counters_(16, 64), tables_(kCapacities, memory_.Source()) {
    pool_ = fixture_.AddPool();
    for (int i = 0; i < 4; ++i) fixture_.AddBackend(pool_, "192.0.2.1" + std::to_string(i));
    vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolTcp, 80, pool_);
    udp_vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolUdp, 53, pool_);
    for (const VipId id : {vip_, udp_vip_}) fixture_.Vip(id).entry.timeouts = kTimeouts;
    state_ = fixture_.Build();
  }

  Selection Send(uint32_t client, uint8_t tcp_flags, uint32_t now_s = 0) {
    return SendTo(vip_, net::kProtocolTcp, client, tcp_flags, now_s);
  }

  Selection SendTo(VipId vip, uint8_t protocol, uint32_t client, uint8_t tcp_flags, uint32_t now_s) {
    return SendFlow({.protocol = protocol, .tcp_flags = tcp_flags, .vip = vip}, client, now_s);
  }

  // `flow` with what follows from the client filled in.
  Selection SendFlow(FlowView flow, uint32_t client, uint32_t now_s) {
    const uint32_t raw = Be32::FromHost(client).raw();
    flow.client = reinterpret_cast<const uint8_t*>(&raw);
    if (flow.destination == nullptr) flow.destination = flow.client;
    flow.client_port = Be16::FromHost(5000);
    flow.destination_port = Be16::FromHost(80);
    flow.hash = Hash(client);
    return SelectBackend(*state_, flow, now_s, tables_, counters_);
  }

  uint64_t Hash(uint32_t client) const { return test::HashOfClient(*state_->keys, client); }

  uint64_t Alive(BackendId id) const {
    return counters_.backends[id.index()].flows_started.Value() - counters_.backends[id.index()].flows_ended.Value();
  }

  void SweepAll(uint32_t now_s) {
    while (!tables_.Sweep(100, now_s, *state_, counters_)) {
    }
  }

  static constexpr lb::FlowTimeouts kTimeouts{
      .tcp_syn_s = 10, .tcp_established_s = 100, .tcp_closing_s = 20, .tcp_reset_s = 5, .udp_s = 30};
  static constexpr TableCapacities kCapacities{.v4 = 2000, .v6 = 1000, .wide = 1000};
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

TEST_F(LadderTest, AnEntryWhoseTimeIsOverDoesNotHoldANewConnection) {
  const BackendId first = Send(1, kTcpSyn, 0).backend;
  Send(1, kTcpAck, 0);
  fixture_.Drain(first);
  state_ = fixture_.Build();
  EXPECT_EQ(Send(1, kTcpSyn, kTimeouts.tcp_established_s - 1).backend, first);
  EXPECT_EQ(Send(1, kTcpAck, 2 * kTimeouts.tcp_established_s).backend, first) << "late, but of the old connection";
  EXPECT_NE(Send(1, kTcpSyn, 3 * kTimeouts.tcp_established_s).backend, first);
  EXPECT_EQ(Alive(first), 0u);
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
  tables_ = FlowTables({.v4 = 2, .v6 = 2, .wide = 2}, memory_.Source());
  tables_.v4().unconfirmed_limit = 1000;
  std::map<uint32_t, Selection> chosen;
  for (uint32_t client = 0; client < 50; ++client) chosen[client] = Send(client, kTcpSyn);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 4u);
  EXPECT_EQ(counters_.table_v4.insert_full.Value(), 46u);
  EXPECT_EQ(counters_.rungs[static_cast<size_t>(Rung::kSchedulerNoEntry)].Value(), 46u);
  for (const auto& [client, selection] : chosen) EXPECT_EQ(Send(client, kTcpAck).backend, selection.backend);
}

TEST_F(LadderTest, AFloodOfSinglePacketsLeavesRoomForConnections) {
  // 300 connections, and ten spoofed SYNs for each.
  std::map<uint32_t, BackendId> real;
  for (uint32_t client = 0; client < 300; ++client) {
    real[client] = Send(client, kTcpSyn).backend;
    Send(client, kTcpAck);
  }
  for (uint32_t spoofed = 0; spoofed < 3000; ++spoofed) Send(100000 + spoofed, kTcpSyn);
  EXPECT_EQ(tables_.v4().unconfirmed, kCapacities.v4 / 4);
  EXPECT_EQ(counters_.table_v4.unconfirmed_full.Value(), 3000u - kCapacities.v4 / 4);
  EXPECT_EQ(counters_.table_v4.insert_full.Value(), 0u);
  fixture_.AddBackend(pool_, "192.0.2.77", 9);
  fixture_.Drain(BackendId(0));
  state_ = fixture_.Build();
  for (const auto& [client, backend] : real) ASSERT_EQ(Send(client, kTcpAck).backend, backend);
  // When the flood's entries have timed out, new connections are remembered again.
  SweepAll(kTimeouts.tcp_syn_s);
  EXPECT_EQ(tables_.v4().unconfirmed, 0u);
  EXPECT_EQ(Send(777777, kTcpSyn, kTimeouts.tcp_syn_s).rung, Rung::kScheduler);
}

TEST_F(LadderTest, EveryEndingOfAnUnconfirmedFlowIsCounted) {
  Send(1, kTcpSyn);
  EXPECT_EQ(tables_.v4().unconfirmed, 1u);
  Send(1, kTcpAck);
  EXPECT_EQ(tables_.v4().unconfirmed, 0u);
  Send(2, kTcpSyn);
  Send(2, kTcpRst);
  EXPECT_EQ(tables_.v4().unconfirmed, 0u);
  Send(2, kTcpSyn);
  EXPECT_EQ(tables_.v4().unconfirmed, 1u);
  Send(3, kTcpAck);
  EXPECT_EQ(tables_.v4().unconfirmed, 2u) << "one packet without a SYN shows no life either";
  SendTo(udp_vip_, net::kProtocolUdp, 4, 0, 0);
  EXPECT_EQ(tables_.v4().unconfirmed, 3u);
  SendTo(udp_vip_, net::kProtocolUdp, 4, 0, 0);
  EXPECT_EQ(tables_.v4().unconfirmed, 2u);
  SweepAll(1000);
  EXPECT_EQ(tables_.v4().unconfirmed, 0u);
}

TEST_F(LadderTest, RelatedPacketsFollowTheFlowAndChangeNothing) {
  const BackendId backend = Send(1, kTcpSyn).backend;
  fixture_.Drain(backend);
  state_ = fixture_.Build();
  const FlowView about{.protocol = net::kProtocolTcp, .related = true, .vip = vip_};
  EXPECT_EQ(SendFlow(about, 1, 5).backend, backend);
  EXPECT_EQ(tables_.v4().unconfirmed, 1u) << "an ICMP error is no sign of life";
  EXPECT_EQ(SendFlow(about, 2, 5).rung, Rung::kSchedulerNoEntry);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 1u);
  SweepAll(10);
  EXPECT_EQ(counters_.table_v4.expired.Value(), 1u) << "nor does it keep the flow alive";
}

TEST_F(LadderTest, UntrackedVipsGoByTheHashAlone) {
  fixture_.Vip(vip_).entry.tracked = false;
  state_ = fixture_.Build();
  const Selection first = Send(1, kTcpSyn);
  EXPECT_EQ(first.rung, Rung::kHashOnly);
  EXPECT_EQ(Send(1, kTcpAck).backend, first.backend);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
  fixture_.Drain(first.backend);
  state_ = fixture_.Build();
  EXPECT_NE(Send(1, kTcpAck).backend, first.backend);
}

TEST_F(LadderTest, AffinityByClientIgnoresPortsAndVips) {
  for (const VipId id : {vip_, udp_vip_}) fixture_.Vip(id).entry.hash_input = HashInput::kClient;
  state_ = fixture_.Build();
  std::set<BackendId> used;
  for (uint32_t client = 0; client < 100; ++client) {
    const BackendId backend = Send(client, kTcpSyn).backend;
    used.insert(backend);
    ASSERT_EQ(SendTo(udp_vip_, net::kProtocolUdp, client, 0, 0).backend, backend);
  }
  EXPECT_EQ(used.size(), 4u);
}

TEST_F(LadderTest, FlowsToAddressesOfAPrefixAreToldApart) {
  const VipId vip = fixture_.AddVip("198.51.100.0/24", net::kProtocolTcp, 80, pool_);
  state_ = fixture_.Build();
  ASSERT_TRUE((*state_->vips)[vip.index()].is_prefix);
  const net::IpAddress one = test::Address("198.51.100.1");
  const net::IpAddress two = test::Address("198.51.100.2");
  const FlowView flow{.protocol = net::kProtocolTcp, .tcp_flags = kTcpSyn, .vip = vip};
  FlowView to_one = flow;
  to_one.destination = one.data();
  FlowView to_two = flow;
  to_two.destination = two.data();
  EXPECT_EQ(SendFlow(to_one, 1, 0).rung, Rung::kScheduler);
  EXPECT_EQ(SendFlow(to_two, 1, 0).rung, Rung::kScheduler) << "took another address's flow for its own";
  EXPECT_EQ(SendFlow(to_one, 1, 0).rung, Rung::kConnectionTable);
  EXPECT_EQ(counters_.table_wide.inserted.Value(), 2u);
}

TEST_F(LadderTest, TimeoutsAreTheVips) {
  fixture_.Vip(udp_vip_).entry.timeouts.udp_s = 3;
  state_ = fixture_.Build();
  SendTo(udp_vip_, net::kProtocolUdp, 1, 0, 0);
  Send(2, kTcpSyn);
  SweepAll(3);
  EXPECT_EQ(counters_.table_v4.expired.Value(), 1u);
}

TEST_F(LadderTest, Ipv6FlowsHaveATableOfTheirOwn) {
  const VipId vip = fixture_.AddVip("2001:db8::10", net::kProtocolTcp, 80, pool_);
  state_ = fixture_.Build();
  const net::IpAddress client = test::Address("2001:db8:1::5");
  FlowView flow = {.client = client.data(),
                   .destination = client.data(),
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

TEST_F(LadderTest, RunningConnectionsThatNothingKnowsAreCounted) {
  const UnprotectedCounters& unprotected = counters_.unprotected;
  // A connection that begins here never counts, whatever it sends and although its end is forgotten.
  Send(1, kTcpSyn);
  Send(1, kTcpAck);
  Send(1, kTcpAck | kTcpFin);
  EXPECT_EQ(unprotected.unknown.Value(), 0u);
  // One that began elsewhere counts once: then it is known.
  Send(2, kTcpAck);
  Send(2, kTcpAck);
  EXPECT_EQ(unprotected.unknown.Value(), 1u);
  // An RST of an unknown connection ends it anyway; UDP has no beginning to miss.
  Send(3, kTcpRst);
  SendTo(udp_vip_, net::kProtocolUdp, 4, 0, 0);
  EXPECT_EQ(unprotected.unknown.Value(), 1u);
  EXPECT_EQ(counters_.vips[vip_.index()].unprotected.Value(), 1u);
  EXPECT_EQ(counters_.vips[udp_vip_.index()].unprotected.Value(), 0u);
}

TEST_F(LadderTest, RunningConnectionsWithoutRoomCountEachPacketAndTheConnectionOnce) {
  const UnprotectedCounters& unprotected = counters_.unprotected;
  // Beginnings of connections fill the share that those of one packet have.
  uint32_t client = 1000;
  while (counters_.table_v4.unconfirmed_full.Value() == 0) Send(client++, kTcpSyn);
  const uint32_t without_room = client - 1;
  EXPECT_EQ(unprotected.no_room.Value(), 0u);
  Send(without_room, kTcpAck);
  Send(without_room, kTcpAck);
  EXPECT_EQ(unprotected.no_room.Value(), 2u);
  EXPECT_EQ(unprotected.no_room_flows.Value(), 0u);
  // What closes is not unconfirmed: it gets an entry.
  Send(without_room, kTcpAck | kTcpFin);
  Send(without_room, kTcpAck | kTcpFin);
  EXPECT_EQ(unprotected.no_room.Value(), 3u);
  EXPECT_EQ(unprotected.no_room_flows.Value(), 1u);
  EXPECT_EQ(unprotected.unknown.Value(), 0u);
  // Once there is room again, a connection that turns up soon is counted as one that had none; later ones are not.
  SweepAll(50);
  Send(client + 1, kTcpAck, 50);
  EXPECT_EQ(unprotected.no_room_flows.Value(), 2u);
  Send(client + 2, kTcpAck, 61);
  EXPECT_EQ(unprotected.unknown.Value(), 1u);
}

}  // namespace
}  // namespace sluice::fwd
