#include "dataplane/fwd/policies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "dataplane/fwd/flow_lookup.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/nat_ladder.h"
#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"
#include "tests/unit/fwd/cookie_sample.h"

namespace sluice::fwd {
namespace {

using net::kTcpAck;
using net::kTcpFin;
using net::kTcpSyn;

// VIPs of one pool: tracked, with cookies, with slots, by the hash alone, and with full NAT.
class PoliciesTest : public testing::Test {
 protected:
  PoliciesTest()
      : counters_(16, 64),
        tables_({.v4 = 4096, .v6 = 16, .wide = 16, .nat = 1024, .stateful = 4096}, memory_.Source(), NatEnds()) {
    pool_ = fixture_.AddPool();
    for (int i = 0; i < 4; ++i) {
      const BackendId id = fixture_.AddBackend(pool_, "192.0.2.1" + std::to_string(i), 100);
      fixture_.spec().backends[id.index()].info.cookie_id = static_cast<uint16_t>(10 + i);
    }
    tracked_ = AddVip(1);
    cookie_ = AddVip(2);
    fixture_.Vip(cookie_).entry.cookies = true;
    fixture_.Vip(cookie_).entry.cookie_layout = kLayout;
    slots_ = AddVip(3);
    fixture_.Vip(slots_).entry.cookies = fixture_.Vip(slots_).entry.slots = true;
    hash_ = AddVip(4);
    fixture_.Vip(hash_).entry.tracked = false;
    nat_ = AddVip(5, ForwardingMode::kFullNat);
    fixture_.spec().cookie_keys[0] = kSecret;
  }

  static NatSetup NatEnds() {
    NatSetup setup;
    setup.ends.Add(test::Address("192.0.2.2"));
    return setup;
  }
  VipId AddVip(int last, ForwardingMode mode = ForwardingMode::kL2) {
    return fixture_.AddVip("203.0.113." + std::to_string(last), net::kProtocolTcp, 80, pool_, mode);
  }
  void Use(SchedulingPolicy policy) {
    fixture_.spec().pools[0].policy = policy;
    state_ = fixture_.Build();
  }

  FlowView View(VipId vip, uint16_t port, uint8_t flags) {
    address_ = test::Address("203.0.113." + std::to_string(vip.value() + 1));
    FlowView flow = {.client = client_.data(),
                     .destination = address_.data(),
                     .protocol = net::kProtocolTcp,
                     .tcp_flags = flags,
                     .client_port = Be16::FromHost(port),
                     .destination_port = Be16::FromHost(80),
                     .vip = vip};
    const lb::FlowTuple tuple = Tuple(flow);
    lb::FlowHashes(*state_->keys, &tuple, 1, &flow.hash);
    return flow;
  }
  static lb::FlowTuple Tuple(const FlowView& flow) {
    return {flow.client, flow.destination, flow.client_port, flow.destination_port, 6, net::Family::kIpv4};
  }
  Selection Send(const FlowView& flow) { return SelectBackend(*state_, flow, now_s_, tables_, counters_); }
  Selection Send(VipId vip, uint16_t port, uint8_t flags) { return Send(View(vip, port, flags)); }
  Selection Syn(VipId vip, uint16_t port) {
    FlowView flow = View(vip, port, kTcpSyn);
    flow.has_timestamps = vip == cookie_ || vip == slots_;
    return Send(flow);
  }
  // A packet of the client whose server is `backend`.
  Selection Echo(uint16_t port, BackendId backend, uint8_t flags) {
    FlowView flow = View(cookie_, port, flags);
    lb::CookieKeys keys;
    keys.Set(0, kSecret);
    flow.has_timestamps = flow.has_echo = true;
    flow.echo = lb::EncodeTimestamp(
        kLayout, 99, lb::EncodeCookie(kLayout, keys, 0, Tuple(flow), {.backend = 10U + backend.value()}));
    return Send(flow);
  }
  std::map<uint16_t, int> Spread(VipId vip, int connections) {
    std::map<uint16_t, int> spread;
    for (int i = 0; i < connections; ++i) ++spread[Syn(vip, next_port_++).backend.value()];
    return spread;
  }

  const net::IpAddress client_ = test::Address("198.51.100.7");
  net::IpAddress address_;
  test::TestMemory memory_;
  test::StateFixture fixture_;
  PoolId pool_;
  VipId tracked_, cookie_, slots_, hash_, nat_;
  std::shared_ptr<const ForwardingState> state_;
  WorkerCounters counters_;
  FlowTables tables_;
  uint32_t now_s_ = 0;
  uint16_t next_port_ = 1000;
};

const std::map<uint16_t, int> kEven = {{0, 10}, {1, 10}, {2, 10}, {3, 10}};

TEST_F(PoliciesTest, TurnsAreTakenByEveryWayOfRemembering) {
  Use(SchedulingPolicy::kWeightedRoundRobin);
  for (const VipId vip : {tracked_, cookie_, slots_}) EXPECT_EQ(Spread(vip, 40), kEven);
  std::map<uint16_t, int> spread;
  for (uint16_t port = 1; port <= 40; ++port) {
    const FlowView flow = View(nat_, port, kTcpSyn);
    ++spread[SelectNat(*state_, flow, {.flags = kTcpSyn}, 0, tables_, counters_).selection.backend.value()];
  }
  EXPECT_EQ(spread, kEven);
  // The table, the slot or the cookie says where a connection went, whoever's turn it is.
  for (uint16_t port = 100; port < 120; ++port) {
    const BackendId backend = Send(tracked_, port, kTcpSyn).backend;
    Syn(tracked_, static_cast<uint16_t>(port + 200));
    const Selection next = Send(tracked_, port, kTcpAck);
    EXPECT_EQ(next.backend, backend);
    EXPECT_EQ(next.rung, Rung::kConnectionTable);
  }
}

TEST_F(PoliciesTest, TurnsFollowWeights) {
  fixture_.spec().pools[0].members[1].weight = 300;
  fixture_.Drain(BackendId(3));
  Use(SchedulingPolicy::kWeightedRoundRobin);
  EXPECT_EQ(Spread(tracked_, 50), (std::map<uint16_t, int>{{0, 10}, {1, 30}, {2, 10}}));
  fixture_.Drain(BackendId(0));
  fixture_.Drain(BackendId(2));
  Use(SchedulingPolicy::kWeightedRoundRobin);
  EXPECT_EQ(Spread(cookie_, 5), (std::map<uint16_t, int>{{1, 5}}));
  fixture_.Drain(BackendId(1));
  Use(SchedulingPolicy::kWeightedRoundRobin);
  EXPECT_FALSE(Syn(cookie_, 7).backend.valid());
}

TEST_F(PoliciesTest, WhatNothingRemembersGoesByTheHash) {
  for (const SchedulingPolicy policy :
       {SchedulingPolicy::kWeightedRoundRobin, SchedulingPolicy::kPowerOfTwo, SchedulingPolicy::kLeastConnections}) {
    Use(policy);
    for (uint16_t port = 1; port < 40; ++port) {
      EXPECT_EQ(Syn(hash_, port).backend, ScheduleFlow(*state_, View(hash_, port, kTcpSyn)));
      // Nor do packets that go on with a connection that is not known here: all directors come to the same for them.
      const auto lost = static_cast<uint16_t>(port + 500);
      EXPECT_EQ(Send(tracked_, lost, kTcpAck).backend, ScheduleFlow(*state_, View(tracked_, lost, kTcpAck)));
    }
  }
}

TEST_F(PoliciesTest, NoRoomMeansTheHash) {
  tables_ = FlowTables({.v4 = 4, .v6 = 4, .wide = 4}, memory_.Source());
  Use(SchedulingPolicy::kWeightedRoundRobin);
  int without = 0;
  for (uint16_t port = 1; port < 100; ++port) {
    const Selection selection = Syn(tracked_, port);
    if (selection.rung != Rung::kSchedulerNoEntry) continue;
    ++without;
    EXPECT_EQ(selection.backend, ScheduleFlow(*state_, View(tracked_, port, kTcpSyn)));
  }
  EXPECT_GT(without, 50);
}

TEST_F(PoliciesTest, CookiesNeedNoTable) {
  Use(SchedulingPolicy::kWeightedRoundRobin);
  for (uint16_t port = 1; port <= 40; ++port) {
    const Selection first = Syn(cookie_, port);
    EXPECT_EQ(first.rung, Rung::kPolicy);
    EXPECT_EQ(Echo(port, first.backend, kTcpAck).backend, first.backend);
  }
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
  EXPECT_EQ(counters_.vips[cookie_.index()].new_flows.Value(), 40u);
  EXPECT_EQ(counters_.rungs[static_cast<size_t>(Rung::kPolicy)].Value(), 40u);
  // Clients without timestamps are where every director looks for them first.
  for (uint16_t port = 100; port < 130; ++port) {
    EXPECT_EQ(Send(cookie_, port, kTcpSyn).backend, ScheduleFlow(*state_, View(cookie_, port, kTcpSyn)));
  }
  // With or without a table for them.
  fixture_.Vip(cookie_).entry.tracked = false;
  Use(SchedulingPolicy::kWeightedRoundRobin);
  EXPECT_EQ(Spread(cookie_, 40), kEven);
  EXPECT_EQ(Send(cookie_, 9, kTcpSyn).rung, Rung::kHashOnly);
}

TEST_F(PoliciesTest, LeastConnectionsFillsTheEmptiest) {
  Use(SchedulingPolicy::kLeastConnections);
  for (const VipId vip : {tracked_, slots_, cookie_}) {
    fixture_.Drain(BackendId(3));
    Use(SchedulingPolicy::kLeastConnections);
    Spread(vip, 30);
    fixture_.Undrain(BackendId(3), pool_, 100);
    Use(SchedulingPolicy::kLeastConnections);
    // Ten connections for each of the others: so many for the one that had none.
    EXPECT_EQ(Spread(vip, 10), (std::map<uint16_t, int>{{3, 10}})) << vip.value();
    EXPECT_EQ(Spread(vip, 40), kEven) << vip.value();
  }
}

TEST_F(PoliciesTest, LeastConnectionsGoesByWeight) {
  fixture_.spec().pools[0].members[2].weight = 200;
  Use(SchedulingPolicy::kLeastConnections);
  EXPECT_EQ(Spread(tracked_, 50), (std::map<uint16_t, int>{{0, 10}, {1, 10}, {2, 20}, {3, 10}}));
}

TEST_F(PoliciesTest, ConnectionsThatEndMakeRoom) {
  Use(SchedulingPolicy::kLeastConnections);
  std::map<uint16_t, BackendId> begun;
  for (uint16_t port = 1; port <= 40; ++port) begun[port] = Syn(cookie_, port).backend;
  int ended = 0;
  for (const auto& [port, backend] : begun) {
    if (backend != BackendId(2)) continue;
    EXPECT_EQ(Echo(port, backend, kTcpFin | kTcpAck).backend, backend);
    ++ended;
  }
  EXPECT_EQ(ended, 10);
  EXPECT_EQ(Spread(cookie_, 10), (std::map<uint16_t, int>{{2, 10}}));
}

TEST_F(PoliciesTest, PowerOfTwoTakesTheLessLoadedOfTheHashesTwo) {
  Use(SchedulingPolicy::kMaglev);
  const auto [hash_min, hash_max] = [spread = Spread(cookie_, 4000)] {
    const auto [least, most] = std::minmax_element(spread.begin(), spread.end(),
                                                   [](const auto& a, const auto& b) { return a.second < b.second; });
    return std::pair(least->second, most->second);
  }();
  EXPECT_GT(hash_max - hash_min, 16);
  next_port_ = 1000;
  Use(SchedulingPolicy::kPowerOfTwo);
  for (const auto& [backend, connections] : Spread(cookie_, 4000)) EXPECT_NEAR(connections, 1000, 8) << backend;
  // A SYN that is sent again draws the same two.
  for (uint16_t port = 6000; port < 6050; ++port) {
    const BackendId first = Syn(cookie_, port).backend;
    BackendId other = first;
    for (int i = 0; i < 20; ++i) {
      const BackendId again = Syn(cookie_, port).backend;
      if (again == first) continue;
      if (other == first) other = again;
      EXPECT_EQ(again, other);
    }
  }
}

TEST_F(PoliciesTest, ANewStateOfThePoolOnlyWherePolicyChanged) {
  Use(SchedulingPolicy::kWeightedRoundRobin);
  const auto before = state_;
  Use(SchedulingPolicy::kWeightedRoundRobin);
  EXPECT_EQ(state_->pools[0], before->pools[0]);
  Use(SchedulingPolicy::kPowerOfTwo);
  EXPECT_NE(state_->pools[0], before->pools[0]);
  EXPECT_EQ(state_->pools[0]->slots, before->pools[0]->slots);
}

TEST_F(PoliciesTest, LookingTakesNoTurn) {
  Use(SchedulingPolicy::kWeightedRoundRobin);
  Syn(tracked_, 1);
  const FlowQuestion question = {.client = client_,
                                 .destination = test::Address("203.0.113.1"),
                                 .client_port = Be16::FromHost(2),
                                 .destination_port = Be16::FromHost(80),
                                 .protocol = 6};
  const FlowFinding finding = LookUpFlow(*state_, question, 0, tables_, counters_);
  EXPECT_TRUE(finding.by_policy);
  EXPECT_EQ(LookUpFlow(*state_, question, 0, tables_, counters_).backend, finding.backend);
  EXPECT_EQ(Syn(tracked_, 2).backend, finding.backend);
  const FlowFinding known = LookUpFlow(*state_, question, 0, tables_, counters_);
  EXPECT_FALSE(known.by_policy);
  EXPECT_EQ(known.rung, Rung::kConnectionTable);
  EXPECT_EQ(known.backend, finding.backend);
}

}  // namespace
}  // namespace sluice::fwd
