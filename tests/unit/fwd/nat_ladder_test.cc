#include "dataplane/fwd/nat_ladder.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>

#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"
#include "tests/unit/fwd/cookie_sample.h"

namespace sluice::fwd {
namespace {

using net::kTcpAck;
using net::kTcpFin;
using net::kTcpRst;
using net::kTcpSyn;

constexpr lb::FlowTimeouts kTimeouts{
    .tcp_syn_s = 10, .tcp_established_s = 100, .tcp_closing_s = 20, .tcp_reset_s = 5, .udp_s = 30};
constexpr size_t kSessions = 64;

// Clients' flows to a VIP with full NAT (TCP and UDP) and to one with destination NAT whose replies are ambiguous.
class NatLadderTest : public testing::Test {
 protected:
  explicit NatLadderTest(size_t sessions = kSessions, uint16_t ports = 1000)
      : counters_(16, 64),
        tables_({.v4 = 1000, .v6 = 16, .wide = 16, .nat = sessions}, memory_.Source(), Setup(ports)) {
    pool_ = fixture_.AddPool();
    for (int i = 0; i < 4; ++i) fixture_.AddBackend(pool_, "192.0.2.1" + std::to_string(i));
    v6_pool_ = fixture_.AddPool();
    fixture_.AddBackend(v6_pool_, "2001:db8::1");
    full_ = fixture_.AddVip("203.0.113.10", net::kProtocolTcp, 80, pool_, ForwardingMode::kFullNat);
    udp_ = fixture_.AddVip("203.0.113.10", net::kProtocolUdp, 80, pool_, ForwardingMode::kFullNat);
    mixed_ = fixture_.AddVip("203.0.113.11", net::kProtocolTcp, 80, v6_pool_, ForwardingMode::kFullNat);
    for (const VipId id : {full_, udp_, mixed_}) fixture_.Vip(id).entry.timeouts = kTimeouts;
    state_ = fixture_.Build();
  }

  static NatSetup Setup(uint16_t ports) {
    NatSetup setup;
    setup.ends.Add(test::Address("192.0.2.100"));
    setup.ends.first_port = 20000;
    setup.ends.last_port = static_cast<uint16_t>(20000 + ports - 1);
    return setup;
  }

  uint64_t HashOf(const lb::NatTuple& tuple) const { return lb::FlowHashPortable(*state_->keys, tuple.ToFlowTuple()); }

  lb::NatTuple ClientTuple(uint32_t client, uint8_t protocol) const {
    const uint32_t raw = Be32::FromHost(client).raw();
    lb::NatTuple tuple;
    tuple.source = lb::LoadNatAddress(net::Family::kIpv4, reinterpret_cast<const uint8_t*>(&raw));
    tuple.destination = lb::LoadNatAddress(net::Family::kIpv4, test::Address("203.0.113.10").data());
    tuple.source_port = Be16::FromHost(5000);
    tuple.destination_port = Be16::FromHost(80);
    tuple.protocol = protocol;
    return tuple;
  }

  NatSelection Send(VipId vip, uint32_t client, const lb::NatSegment& segment) {
    const uint8_t protocol = fixture_.Vip(vip).entry.protocol;
    const lb::NatTuple tuple = ClientTuple(client, protocol);
    const FlowView flow = {.client = tuple.source.data(),
                           .destination = tuple.destination.data(),
                           .family = net::Family::kIpv4,
                           .protocol = protocol,
                           .tcp_flags = segment.flags,
                           .client_port = tuple.source_port,
                           .destination_port = tuple.destination_port,
                           .vip = vip,
                           .hash = HashOf(tuple)};
    return SelectNat(*state_, flow, segment, now_s_, tables_, counters_);
  }

  // A connection through its handshake; null when it got no session.
  lb::NatSession* Establish(uint32_t client) {
    lb::NatSession* session = Send(full_, client, {.flags = kTcpSyn, .sequence = 10}).session;
    if (session == nullptr) return nullptr;
    lb::NoteBackendSegment(session->tracking, {.flags = kTcpSyn | kTcpAck, .sequence = 500, .acknowledgement = 11},
                           now_s_);
    return Send(full_, client, {.flags = kTcpAck, .sequence = 11, .acknowledgement = 501}).session;
  }

  void SweepAll() {
    while (!tables_.Sweep(7, now_s_, *state_, counters_)) continue;
  }

  uint64_t Entries() const { return counters_.table_nat.inserted.Value() - counters_.table_nat.expired.Value(); }
  uint64_t Alive() const {
    uint64_t alive = 0;
    for (size_t i = 0; i < counters_.backend_count; ++i) {
      alive += counters_.backends[i].flows_started.Value() - counters_.backends[i].flows_ended.Value();
    }
    return alive;
  }

  test::TestMemory memory_;
  test::StateFixture fixture_;
  PoolId pool_;
  PoolId v6_pool_;
  VipId full_;
  VipId udp_;
  VipId mixed_;
  std::shared_ptr<const ForwardingState> state_;
  WorkerCounters counters_;
  FlowTables tables_;
  uint32_t now_s_ = 1000;
};

TEST_F(NatLadderTest, AFlowTakesItsFirstEndWhereThatIsFree) {
  for (uint32_t client = 1; client <= kSessions; ++client) {
    const NatFlows::LocalEnd end =
        tables_.nat().FirstEnd(net::Family::kIpv4, HashOf(ClientTuple(client, net::kProtocolTcp)));
    const lb::NatSession* const session = Send(full_, client, {.flags = kTcpSyn}).session;
    ASSERT_NE(session, nullptr);
    EXPECT_EQ(session->local_address, lb::LoadNatAddress(net::Family::kIpv4, end.address));
    EXPECT_EQ(session->local_port, end.port);
    now_s_ += 1000;
    SweepAll();
  }
  EXPECT_EQ(tables_.nat().FirstEnd(net::Family::kIpv6, 1).address, nullptr) << "there are no addresses of the family";
}

TEST_F(NatLadderTest, AFullTableRefusesNewFlowsAndKeepsTheOthers) {
  std::set<uint32_t> confirmed;
  for (uint32_t client = 1; client <= kSessions; ++client) {
    ASSERT_NE(Establish(client), nullptr) << client;
    confirmed.insert(client);
  }
  for (uint32_t client = 1000; client < 1010; ++client) {
    const NatSelection refused = Send(full_, client, {.flags = kTcpSyn, .sequence = 1});
    EXPECT_EQ(refused.session, nullptr);
    EXPECT_FALSE(refused.selection.backend.valid());
    EXPECT_EQ(refused.selection.reason, DropReason::kNatTableFull);
  }
  EXPECT_EQ(counters_.table_nat.insert_full.Value(), 10u);
  for (const uint32_t client : confirmed) {
    const NatSelection kept = Send(full_, client, {.flags = kTcpAck, .sequence = 11, .acknowledgement = 501});
    EXPECT_NE(kept.session, nullptr);
    EXPECT_EQ(kept.selection.rung, Rung::kConnectionTable);
  }
  now_s_ += 100;
  SweepAll();
  EXPECT_EQ(tables_.nat().table().in_use(), 0u);
  EXPECT_NE(Establish(1000), nullptr);
}

// A VIP with destination NAT and cookies.
class NatCookiesTest : public NatLadderTest {
 protected:
  explicit NatCookiesTest(size_t sessions = kSessions) : NatLadderTest(sessions) {
    nat_ = fixture_.AddVip("203.0.113.10", net::kProtocolTcp, 90, pool_, ForwardingMode::kNat);
    VipEntry& entry = fixture_.Vip(nat_).entry;
    entry.cookies = true;
    entry.cookie_layout = kLayout;
    entry.timeouts = kTimeouts;
    for (size_t i = 0; i < 4; ++i) fixture_.spec().backends[i].info.cookie_id = static_cast<uint16_t>(20 + i);
    fixture_.spec().cookie_keys[0] = kSecret;
    state_ = fixture_.Build();
  }

  lb::NatTuple Tuple(uint32_t client) const {
    lb::NatTuple tuple = ClientTuple(client, net::kProtocolTcp);
    tuple.destination_port = Be16::FromHost(90);
    return tuple;
  }
  uint32_t Cookie(uint32_t client, BackendId backend) const {
    lb::CookieKeys keys;
    keys.Set(0, kSecret);
    return lb::EncodeCookie(kLayout, keys, 0, Tuple(client).ToFlowTuple(), {.backend = 20U + backend.value()});
  }
  NatSelection Give(uint32_t client, uint8_t flags, std::optional<uint32_t> echo = std::nullopt) {
    const lb::NatTuple tuple = Tuple(client);
    const FlowView flow = {.client = tuple.source.data(),
                           .destination = tuple.destination.data(),
                           .family = net::Family::kIpv4,
                           .protocol = net::kProtocolTcp,
                           .tcp_flags = flags,
                           .has_timestamps = true,
                           .has_echo = echo.has_value(),
                           .client_port = tuple.source_port,
                           .destination_port = tuple.destination_port,
                           .vip = nat_,
                           .echo = echo.value_or(0),
                           .hash = HashOf(tuple)};
    return SelectNat(*state_, flow, {.flags = flags, .sequence = 1}, now_s_, tables_, counters_);
  }
  uint32_t Echo(uint32_t client, BackendId backend) const {
    return lb::EncodeTimestamp(kLayout, 5000, Cookie(client, backend));
  }

  VipId nat_;
};

TEST_F(NatCookiesTest, TheCookieFindsAFlowThatIsNotKnownHere) {
  for (uint32_t client = 1; client <= 12; ++client) {
    const BackendId backend(static_cast<uint16_t>(client % 4));
    const NatSelection found = Give(client, kTcpAck, Echo(client, backend));
    EXPECT_EQ(found.selection.backend, backend);
    EXPECT_EQ(found.selection.rung, Rung::kCookie);
    ASSERT_NE(found.session, nullptr);
    EXPECT_TRUE(found.session->stamped);
    EXPECT_TRUE(tables_.nat().StampsOf(*found.session).IsOwn(Cookie(client, backend)));
    const NatSelection next = Give(client, kTcpAck, Echo(client, backend));
    EXPECT_EQ(next.session, found.session);
    EXPECT_EQ(next.selection.rung, Rung::kConnectionTable);
  }
}

TEST_F(NatCookiesTest, ASynBeginsWithACookieOfItsBackend) {
  const NatSelection begun = Give(1, kTcpSyn);
  ASSERT_NE(begun.session, nullptr);
  EXPECT_TRUE(begun.session->stamped);
  EXPECT_TRUE(tables_.nat().StampsOf(*begun.session).IsOwn(Cookie(1, begun.selection.backend)));
}

TEST_F(NatCookiesTest, WhatHasNoCookieBeganWithoutOne) {
  // Check bits that are not zero.
  uint32_t wrong = Echo(2, BackendId(1));
  const auto names = [&](uint32_t echo) { return Give(2, kTcpAck | kTcpRst, echo).selection.rung == Rung::kCookie; };
  while (names(wrong)) ++wrong;
  const uint64_t refused = counters_.cookies_refused.Value();
  const NatSelection found = Give(2, kTcpAck, wrong);
  ASSERT_NE(found.session, nullptr);
  EXPECT_FALSE(found.session->stamped) << "its timestamps are what the backend sent";
  EXPECT_EQ(counters_.cookies_refused.Value(), refused + 1);
}

TEST_F(NatCookiesTest, AConnectionOfABackendThatIsDownMovesOnce) {
  fixture_.Down(BackendId(1), OnDown::kReschedule);
  state_ = fixture_.Build();
  const NatSelection moved = Give(5, kTcpAck, Echo(5, BackendId(1)));
  ASSERT_NE(moved.session, nullptr);
  EXPECT_NE(moved.selection.backend, BackendId(1));
  EXPECT_EQ(counters_.rescheduled.Value(), 1u);
  EXPECT_EQ(counters_.cookies_refused.Value(), 0u) << "the cookie was a good one";
}

TEST_F(NatCookiesTest, ASessionGivesWayToTheCookieOfANewerConnection) {
  const BackendId old = Give(3, kTcpSyn).selection.backend;
  const BackendId other(static_cast<uint16_t>((old.value() + 1) % 4));
  const NatSelection moved = Give(3, kTcpAck, Echo(3, other));
  EXPECT_EQ(moved.selection.backend, other);
  EXPECT_EQ(moved.selection.rung, Rung::kCookie);
  EXPECT_EQ(Give(3, kTcpAck, Echo(3, other)).selection.backend, other);
}

class FewNatCookiesTest : public NatCookiesTest {
 protected:
  FewNatCookiesTest() : NatCookiesTest(4) {}
};

TEST_F(FewNatCookiesTest, WithoutRoomTheCookieStillFindsTheBackend) {
  for (uint32_t client = 101; client <= 104; ++client) Give(client, kTcpSyn).session->tracking.confirmed = true;
  int without = 0;
  for (uint32_t client = 1; client <= 20; ++client) {
    const BackendId backend(static_cast<uint16_t>(client % 4));
    const NatSelection found = Give(client, kTcpAck, Echo(client, backend));
    EXPECT_EQ(found.selection.backend, backend);
    EXPECT_EQ(found.selection.rung, Rung::kCookie);
    if (found.session == nullptr) ++without;
  }
  EXPECT_EQ(without, 20);
}

class FewPortsTest : public NatLadderTest {
 protected:
  FewPortsTest() : NatLadderTest(kSessions, 2) {}
};

// Connections that ended keep their local ends for a while, but not from those who need them.
TEST_F(FewPortsTest, ClosedConnectionsGiveTheirPortsBeforeUnconfirmedOnes) {
  uint32_t client = 0;
  std::vector<lb::NatSession*> open;  // all the ports of one backend: of four, with two ports each
  while (open.size() < 8) {
    lb::NatSession* session = Establish(++client);
    if (session != nullptr) open.push_back(session);
  }
  const auto refused = [&](uint32_t who) {
    const NatSelection selection = Send(full_, who, {.flags = kTcpSyn, .sequence = 10});
    EXPECT_EQ(selection.session == nullptr, selection.selection.reason == DropReason::kNatPortsExhausted);
    return selection.session == nullptr;
  };
  for (uint32_t who = 1000; who < 1020; ++who) EXPECT_TRUE(refused(who));
  // One of them ends, by FIN both ways: its port is the one that the next flow to its backend gets.
  lb::NatSession* const closed = open[3];
  lb::NoteClientSegment(closed->tracking, {.flags = kTcpFin | kTcpAck, .sequence = 11, .acknowledgement = 501}, now_s_);
  EXPECT_EQ(closed->tracking.state, lb::NatState::kClientClosing);
  for (uint32_t who = 1000; who < 1020; ++who) EXPECT_TRUE(refused(who));
  lb::NoteBackendSegment(closed->tracking, {.flags = kTcpFin | kTcpAck, .sequence = 501, .acknowledgement = 12},
                         now_s_);
  const Be16 port = closed->local_port;
  const BackendId backend = closed->backend;
  uint32_t taker = 1000;
  while (refused(taker)) ASSERT_LT(++taker, 1100u);
  const NatSelection taken = Send(full_, taker, {.flags = kTcpSyn, .sequence = 10});
  EXPECT_EQ(taken.session->local_port, port);
  EXPECT_EQ(taken.session->backend, backend);
  EXPECT_EQ(counters_.table_nat.replaced.Value(), 1u);
  EXPECT_EQ(counters_.table_nat.unconfirmed_full.Value(), 0u);
  EXPECT_EQ(Entries(), 8u);
  EXPECT_EQ(Alive(), 8u);
}

TEST_F(NatLadderTest, WithoutALocalAddressOfTheBackendsFamilyThereIsNoFlow) {
  const NatSelection refused = Send(mixed_, 1, {.flags = kTcpSyn});
  EXPECT_EQ(refused.selection.reason, DropReason::kNatNoLocalAddress);
  EXPECT_EQ(Entries(), 0u);
}

TEST_F(NatLadderTest, ANewConnectionOnAnOldTuple) {
  lb::NatSession* session = Establish(7);
  ASSERT_NE(session, nullptr);
  const Be16 port = session->local_port;
  Send(full_, 7, {.flags = kTcpRst, .sequence = 11});
  const NatSelection again = Send(full_, 7, {.flags = kTcpSyn, .sequence = 9000});
  ASSERT_NE(again.session, nullptr);
  EXPECT_EQ(again.session->tracking.client_isn, 9000u);
  EXPECT_EQ(again.session->local_port, port);
  EXPECT_EQ(Entries(), 1u);
  EXPECT_EQ(counters_.vips[full_.index()].new_flows.Value(), 2u);
}

TEST_F(NatLadderTest, TimeoutsByWhatWasSeen) {
  Send(full_, 1, {.flags = kTcpSyn, .sequence = 10});
  Establish(2);
  Send(udp_, 3, {});
  now_s_ += 10;
  SweepAll();
  EXPECT_EQ(tables_.nat().table().in_use(), 2u);
  now_s_ += 20;
  SweepAll();
  EXPECT_EQ(tables_.nat().table().in_use(), 1u);
  now_s_ += 69;
  SweepAll();
  EXPECT_EQ(tables_.nat().table().in_use(), 1u);
  now_s_ += 1;
  SweepAll();
  EXPECT_EQ(tables_.nat().table().in_use(), 0u);
  EXPECT_EQ(Alive(), 0u);
}

TEST_F(NatLadderTest, ASessionOfARemovedVipEnds) {
  Establish(1);
  fixture_.spec().vips.erase(fixture_.spec().vips.begin());
  state_ = fixture_.Build();
  SweepAll();
  EXPECT_EQ(tables_.nat().table().in_use(), 0u);
}

TEST_F(NatLadderTest, AnIdGivenToAnotherBackendEndsItsSessions) {
  const BackendId backend = Establish(1)->backend;
  fixture_.Remove(backend);
  fixture_.Reuse(backend, pool_, "192.0.2.99");
  state_ = fixture_.Build();
  const NatSelection after = Send(full_, 1, {.flags = kTcpAck, .sequence = 11, .acknowledgement = 501});
  EXPECT_EQ(after.selection.reason, DropReason::kNatNoSession);
  EXPECT_EQ(Entries(), 0u);
}

// Random clients, ends, removals and time beside a plain map: no flow that is alive on a living backend moves, no local
// end is used twice for one backend, and the counters agree.
TEST_F(NatLadderTest, ChurnBesideAModel) {
  std::mt19937 random(11);
  std::map<uint32_t, BackendId> model;  // confirmed flows, all kept alive below
  std::set<uint16_t> absent;
  for (int step = 0; step < 4000; ++step) {
    const auto client = static_cast<uint32_t>(random() % 100);
    const auto known = model.find(client);
    if (known != model.end() && absent.contains(known->second.value())) {
      EXPECT_EQ(Send(full_, client, {.flags = kTcpAck, .sequence = 11, .acknowledgement = 501}).selection.reason,
                DropReason::kNatNoSession);
      model.erase(known);
    } else if (known != model.end()) {
      const NatSelection kept = Send(full_, client, {.flags = kTcpAck, .sequence = 11, .acknowledgement = 501});
      ASSERT_EQ(kept.selection.backend, known->second);
      if (random() % 8 == 0) {
        Send(full_, client, {.flags = kTcpRst, .sequence = 11, .acknowledgement = 501});
        model.erase(known);
      }
    } else if (model.size() < kSessions / 2) {
      lb::NatSession* session = Establish(client);
      ASSERT_NE(session, nullptr);
      ASSERT_FALSE(absent.contains(session->backend.value()));
      model[client] = session->backend;
    } else {
      Send(full_, static_cast<uint32_t>(1000 + random() % 5000), {.flags = kTcpSyn, .sequence = 3});
    }
    if (random() % 50 == 0) {
      const auto id = static_cast<uint16_t>(random() % 4);
      if (absent.erase(id) != 0) {
        fixture_.Reuse(BackendId(id), pool_, "192.0.2.1" + std::to_string(id));
      } else if (absent.size() < 2) {
        // Flows of it are forgotten by the model when they are met.
        fixture_.Remove(BackendId(id));
        absent.insert(id);
        std::erase_if(model, [&](const auto& flow) { return flow.second.value() == id; });
        state_ = fixture_.Build();
        SweepAll();
      }
      state_ = fixture_.Build();
    }
    if (random() % 20 == 0) now_s_ += 1;
    if (random() % 10 == 0) tables_.Sweep(13, now_s_, *state_, counters_);
    ASSERT_EQ(Entries(), tables_.nat().table().in_use());
    ASSERT_EQ(Alive(), tables_.nat().table().in_use());
  }
  std::set<std::tuple<lb::NatAddress, uint16_t>> ends;
  size_t alive = 0;
  for (uint32_t i = 0; i < tables_.nat().table().highest(); ++i) {
    const lb::NatSession& session = tables_.nat().table().at(i);
    if (session.tracking.state == lb::NatState::kFree) continue;
    ++alive;
    ends.insert({session.backend_address, session.local_port.Host()});
  }
  EXPECT_EQ(ends.size(), alive);
}

}  // namespace
}  // namespace sluice::fwd
