#include "dataplane/fwd/slots.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"

namespace sluice::fwd {
namespace {

using net::kTcpAck;
using net::kTcpFin;
using net::kTcpSyn;

constexpr size_t kConnections = 768;  // four blocks

class SlotsTest : public testing::Test {
 protected:
  SlotsTest()
      : counters_(16, 64), tables_({.v4 = 1000, .v6 = 16, .wide = 16, .stateful = kConnections}, memory_.Source()) {
    pool_ = fixture_.AddPool();
    for (int i = 0; i < 4; ++i) fixture_.AddBackend(pool_, "192.0.2.1" + std::to_string(i));
    vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolTcp, 80, pool_);
    fixture_.Vip(vip_).entry.cookies = true;
    fixture_.Vip(vip_).entry.slots = true;
    fixture_.Vip(vip_).entry.timeouts = {
        .tcp_syn_s = 10, .tcp_established_s = 100, .tcp_closing_s = 20, .tcp_reset_s = 5, .udp_s = 5};
    state_ = fixture_.Build();
  }

  FlowView Flow(uint32_t client, uint8_t flags, bool timestamps = true) {
    address_ = Be32::FromHost(0xc633'6400 + client).raw();
    FlowView flow = {.client = reinterpret_cast<const uint8_t*>(&address_),
                     .destination = kVip,
                     .protocol = net::kProtocolTcp,
                     .tcp_flags = flags,
                     .has_timestamps = timestamps,
                     .client_port = Be16::FromHost(5000),
                     .destination_port = Be16::FromHost(80),
                     .vip = vip_,
                     .bytes = 60};
    const lb::FlowTuple tuple = {flow.client, kVip, flow.client_port, flow.destination_port, 6, net::Family::kIpv4};
    lb::FlowHashes(*state_->keys, &tuple, 1, &flow.hash);
    return flow;
  }
  Selection Give(const FlowView& flow) { return SelectBackend(*state_, flow, now_s_, tables_, counters_); }
  Selection Syn(uint32_t client) { return Give(Flow(client, kTcpSyn)); }
  // The client echoes a timestamp with the cookie that the SYN told the server.
  FlowView Echoing(uint32_t client, const Selection& began, uint8_t flags = kTcpAck) {
    FlowView flow = Flow(client, flags);
    flow.has_echo = true;
    flow.echo = 0x1234'5600 | (began.syn_echo & 0xff);
    return flow;
  }
  lb::ConnectionSlot* SlotOf(uint32_t client, const Selection& began) {
    const FlowView flow = Flow(client, kTcpAck);
    return tables_.slots().table.Find(flow.hash, vip_, lb::SlotCookie(flow.hash, static_cast<uint8_t>(began.syn_echo)));
  }
  void Pass() {
    while (!tables_.Sweep(64, now_s_, *state_, counters_)) continue;
  }
  uint64_t Alive() const {
    uint64_t alive = 0;
    for (size_t i = 0; i < 4; ++i) {
      alive += counters_.backends[i].flows_started.Value() - counters_.backends[i].flows_ended.Value();
    }
    return alive;
  }

  static constexpr uint8_t kVip[4] = {203, 0, 113, 10};
  test::TestMemory memory_;
  test::StateFixture fixture_;
  PoolId pool_;
  VipId vip_;
  uint32_t address_ = 0;
  uint32_t now_s_ = 1000;
  std::shared_ptr<const ForwardingState> state_;
  WorkerCounters counters_;
  FlowTables tables_;
};

TEST_F(SlotsTest, ABackendThatIsDownIsKeptOrResetOrEndsTheConnection) {
  const Selection began = Syn(1);
  Give(Echoing(1, began));
  fixture_.Down(began.backend, OnDown::kKeep);
  state_ = fixture_.Build();
  EXPECT_EQ(Give(Echoing(1, began)).backend, began.backend);
  fixture_.Down(began.backend, OnDown::kReset);
  state_ = fixture_.Build();
  const Selection reset = Give(Echoing(1, began));
  EXPECT_FALSE(reset.backend.valid());
  EXPECT_EQ(reset.refusal, Refusal::kReset);
  fixture_.Down(began.backend, OnDown::kReschedule);
  state_ = fixture_.Build();
  EXPECT_EQ(Give(Echoing(1, began, net::kTcpRst)).backend, began.backend) << "the last word goes where it was";
  const Selection moved = Give(Echoing(1, began));
  EXPECT_TRUE(moved.backend.valid());
  EXPECT_NE(moved.backend, began.backend);
  EXPECT_EQ(moved.rung, Rung::kScheduler);
  // It has its slot still, and what comes later is a packet as any other.
  for (int i = 0; i < 3; ++i) {
    const Selection later = Give(Echoing(1, began));
    EXPECT_EQ(later.rung, Rung::kSlot);
    EXPECT_EQ(later.backend, moved.backend);
  }
  EXPECT_EQ(counters_.rescheduled.Value(), 1u);
  EXPECT_EQ(counters_.table_stateful.replaced.Value(), 1u);
  EXPECT_EQ(counters_.cookies_refused.Value(), 0u);
  EXPECT_EQ(counters_.unprotected.unknown.Value(), 0u);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
  EXPECT_EQ(Alive(), 1u);
}

TEST_F(SlotsTest, AConnectionEndsWhereNobodyTakesIt) {
  const Selection began = Syn(1);
  Give(Echoing(1, began));
  for (uint16_t i = 0; i < 4; ++i) fixture_.Down(BackendId(i), OnDown::kReschedule);
  state_ = fixture_.Build();
  EXPECT_FALSE(Give(Echoing(1, began)).backend.valid());
  EXPECT_EQ(SlotOf(1, began), nullptr);
  EXPECT_EQ(Alive(), 0u);
  EXPECT_EQ(counters_.rescheduled.Value(), 0u);
  EXPECT_EQ(counters_.cookies_refused.Value(), 0u);
}

TEST_F(SlotsTest, AConnectionKeepsItsBackendAndIsCounted) {
  const Selection began = Syn(1);
  ASSERT_TRUE(began.backend.valid());
  EXPECT_EQ(began.rung, Rung::kScheduler);
  EXPECT_EQ(began.syn_echo >> lb::kMaxCookieBits, lb::kSynEchoMark);
  EXPECT_EQ(tables_.slots().unconfirmed, 1u);
  // Of all backends only this one takes no new flows any more.
  fixture_.Drain(began.backend);
  state_ = fixture_.Build();
  now_s_ += 7;
  for (int i = 0; i < 3; ++i) {
    const Selection next = Give(Echoing(1, began));
    EXPECT_EQ(next.rung, Rung::kSlot);
    EXPECT_EQ(next.backend, began.backend);
    EXPECT_EQ(next.syn_echo, 0u);
  }
  EXPECT_EQ(tables_.slots().unconfirmed, 0u);
  const lb::ConnectionSlot* slot = SlotOf(1, began);
  ASSERT_NE(slot, nullptr);
  EXPECT_EQ(slot->packets, 4u);
  EXPECT_EQ(slot->bytes, 4u * 60);
  EXPECT_EQ(slot->began_s, 1000u);
  EXPECT_EQ(slot->state, lb::FlowState::kEstablished);
  EXPECT_EQ(counters_.table_stateful.inserted.Value(), 1u);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
  EXPECT_EQ(counters_.vips[vip_.index()].new_flows.Value(), 1u);
  EXPECT_EQ(counters_.cookies_refused.Value(), 0u);
}

TEST_F(SlotsTest, WhatIsMadeUpFindsNothing) {
  const Selection began = Syn(1);
  Give(Echoing(1, began));
  int found = 0;
  for (uint32_t guess = 0; guess < 256; ++guess) {
    FlowView own = Echoing(1, began);
    own.echo = guess;
    found += PeekSlot(*state_, own, tables_).valid() ? 1 : 0;
    // Another tuple finds nobody's slot, whatever it says, and goes by the table from then on.
    FlowView other = Echoing(2, began);
    other.echo = guess;
    const Selection said = Give(other);
    EXPECT_EQ(said.rung, guess == 0 ? Rung::kScheduler : Rung::kConnectionTable);
  }
  EXPECT_EQ(found, 1);
  EXPECT_EQ(counters_.cookies_refused.Value(), 256u);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 1u);
}

TEST_F(SlotsTest, EndsByTimeoutOrWithItsBackend) {
  const Selection syn_only = Syn(1);
  const Selection idle = Syn(2);
  const Selection closing = Syn(3);
  Give(Echoing(2, idle));
  Give(Echoing(3, closing));
  Give(Echoing(3, closing, kTcpFin | kTcpAck));
  EXPECT_EQ(Alive(), 3u);
  now_s_ += 15;
  Pass();
  EXPECT_EQ(SlotOf(1, syn_only), nullptr);
  EXPECT_EQ(tables_.slots().unconfirmed, 0u);
  EXPECT_NE(SlotOf(3, closing), nullptr);
  now_s_ += 15;
  Pass();
  EXPECT_EQ(SlotOf(3, closing), nullptr);
  EXPECT_EQ(Give(Echoing(2, idle)).rung, Rung::kSlot);
  EXPECT_EQ(Alive(), 1u);
  fixture_.Remove(idle.backend);
  state_ = fixture_.Build();
  const Selection moved = Give(Echoing(2, idle));
  EXPECT_EQ(moved.rung, Rung::kScheduler);
  EXPECT_NE(moved.backend, idle.backend);
  EXPECT_EQ(counters_.rescheduled.Value(), 1u);
  EXPECT_EQ(tables_.slots().table.in_use(), 1u);
  EXPECT_EQ(Give(Echoing(2, idle)).backend, moved.backend);
  Pass();
  EXPECT_EQ(Alive(), 1u);
  EXPECT_GE(counters_.table_stateful.sweeps.Value(), 3u);
}

TEST_F(SlotsTest, AFloodOfSynsGetsAQuarter) {
  for (uint32_t client = 0; client < kConnections; ++client) {
    const Selection began = Syn(client);
    EXPECT_EQ(began.syn_echo != 0, client < kConnections / 4) << client;
    // The rest goes by the connection table, which has a share for such flows as well.
    EXPECT_TRUE(began.backend.valid());
  }
  EXPECT_EQ(counters_.table_stateful.unconfirmed_full.Value(), kConnections * 3 / 4);
  EXPECT_GT(counters_.table_v4.inserted.Value(), 0u);
}

TEST_F(SlotsTest, AFullBlockIsForTheConnectionTable) {
  std::set<uint8_t> cookies;
  uint32_t client = 0;
  while (counters_.table_stateful.insert_full.Value() == 0) {
    ASSERT_LT(client, 4 * 256u + 1);
    const Selection began = Syn(client);
    if (began.syn_echo != 0) {
      EXPECT_EQ(Give(Echoing(client, began)).rung, Rung::kSlot);
    } else {
      EXPECT_EQ(began.rung, Rung::kScheduler);
      EXPECT_EQ(Give(Flow(client, kTcpAck)).rung, Rung::kConnectionTable);
      // What the client echoes then is the server's own timestamp.
      FlowView plain = Flow(client, kTcpAck);
      plain.has_echo = true;
      plain.echo = 0x0102'0304;
      EXPECT_EQ(Give(plain).backend, began.backend);
    }
    ++client;
  }
}

TEST_F(SlotsTest, WhatIsCountedCanBeReadByTheTuple) {
  const Selection began = Syn(1);
  // A SYN that was sent again leaves a slot behind.
  Syn(1);
  now_s_ += 3;
  Give(Echoing(1, began));
  now_s_ += 4;
  const TrackedFlow known = FindTracked(*state_, Flow(1, kTcpAck), now_s_, tables_);
  EXPECT_TRUE(known.exists && known.backend_exists && known.in_slot);
  EXPECT_FALSE(known.over);
  EXPECT_EQ(known.backend, began.backend);
  EXPECT_EQ(known.packets, 2u);
  EXPECT_EQ(known.bytes, 120u);
  EXPECT_EQ(known.age_s, 7u);
  EXPECT_EQ(known.idle_s, 4u);
  EXPECT_FALSE(FindTracked(*state_, Flow(2, kTcpAck), now_s_, tables_).exists);
  Give(Flow(3, kTcpSyn, false));
  EXPECT_FALSE(FindTracked(*state_, Flow(3, kTcpAck), now_s_, tables_).in_slot);
}

TEST_F(SlotsTest, ErrorsAboutAConnectionFindItAndChangeNothing) {
  const Selection began = Syn(1);
  FlowView about = Echoing(1, began);
  about.related = true;
  EXPECT_EQ(Give(about).backend, began.backend);
  EXPECT_EQ(SlotOf(1, began)->packets, 1u);
  EXPECT_EQ(TrackedBackend(*state_, about, tables_), began.backend);
}

TEST_F(SlotsTest, ConnectionsWithoutTimestampsHaveTheTable) {
  EXPECT_EQ(Give(Flow(1, kTcpSyn, false)).syn_echo, 0u);
  EXPECT_EQ(Give(Flow(1, kTcpAck, false)).rung, Rung::kConnectionTable);
  EXPECT_EQ(tables_.slots().table.in_use(), 0u);
  fixture_.Vip(vip_).entry.tracked = false;
  state_ = fixture_.Build();
  EXPECT_EQ(Give(Flow(2, kTcpSyn, false)).rung, Rung::kHashOnly);
  const Selection began = Syn(3);
  EXPECT_EQ(Give(Echoing(3, began)).rung, Rung::kSlot);
}

}  // namespace
}  // namespace sluice::fwd
