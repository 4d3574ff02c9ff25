#include "dataplane/fwd/flow_lookup.h"

#include <gtest/gtest.h>

#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"
#include "tests/unit/fwd/cookie_sample.h"

namespace sluice::fwd {
namespace {

// Questions about flows, beside packets of the same flows through the ladder.
class FlowLookupTest : public testing::Test {
 protected:
  FlowLookupTest() : counters_(16, 64), tables_({.v4 = 2000, .v6 = 100, .wide = 100, .nat = 0}, memory_.Source()) {
    pool_ = fixture_.AddPool();
    for (int i = 0; i < 4; ++i) backends_.push_back(fixture_.AddBackend(pool_, "192.0.2.1" + std::to_string(i)));
    vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolTcp, 80, pool_);
    hash_only_ = fixture_.AddVip("203.0.113.11", net::kProtocolTcp, 80, pool_);
    fixture_.Vip(hash_only_).entry.tracked = false;
    fixture_.AddVip("2001:db8:f::10", net::kProtocolTcp, 80, pool_);
    cookie_ = fixture_.AddVip("203.0.113.12", net::kProtocolTcp, 80, pool_);
    fixture_.Vip(cookie_).entry.cookies = true;
    fixture_.Vip(cookie_).entry.cookie_layout = kLayout;
    fixture_.spec().cookie_keys[0] = kSecret;
    for (const BackendId id : backends_) fixture_.spec().backends[id.index()].info.cookie_id = CookieIdOf(id);
    state_ = fixture_.Build();
  }

  static uint16_t CookieIdOf(BackendId id) { return static_cast<uint16_t>(10 + id.value()); }
  static FlowQuestion About(const std::string& client, const std::string& address, uint16_t port = 80) {
    return {.client = test::Address(client),
            .destination = test::Address(address),
            .client_port = Be16::FromHost(40000),
            .destination_port = Be16::FromHost(port),
            .protocol = net::kProtocolTcp};
  }
  FlowFinding Ask(const FlowQuestion& question, uint32_t now_s = 0) {
    return LookUpFlow(*state_, question, now_s, tables_, counters_);
  }
  // A packet of the flow.
  Selection Send(const FlowQuestion& question, VipId vip, uint8_t tcp_flags, uint32_t now_s = 0) {
    const FlowView flow = {.client = question.client.data(),
                           .destination = question.destination.data(),
                           .family = question.client.family(),
                           .protocol = question.protocol,
                           .tcp_flags = tcp_flags,
                           .client_port = question.client_port,
                           .destination_port = question.destination_port,
                           .vip = vip,
                           .hash = Ask(question).hash};
    return SelectBackend(*state_, flow, now_s, tables_, counters_);
  }

  test::TestMemory memory_;
  test::StateFixture fixture_;
  PoolId pool_;
  std::vector<BackendId> backends_;
  VipId vip_;
  VipId hash_only_;
  VipId cookie_;
  std::shared_ptr<const ForwardingState> state_;
  WorkerCounters counters_;
  FlowTables tables_;
};

TEST_F(FlowLookupTest, ForetellsWhatBecomesOfFlowsWhoseBackendIsDown) {
  const FlowQuestion question = About("198.51.100.7", "203.0.113.10");
  const BackendId first = Send(question, vip_, net::kTcpSyn).backend;
  Send(question, vip_, net::kTcpAck);
  for (const OnDown on_down : {OnDown::kKeep, OnDown::kReset, OnDown::kReschedule}) {
    SCOPED_TRACE(static_cast<int>(on_down));
    fixture_.Down(first, on_down);
    state_ = fixture_.Build();
    const FlowFinding asked = Ask(question);
    const Selection sent = Send(question, vip_, net::kTcpAck);
    EXPECT_EQ(asked.backend, sent.backend);
    EXPECT_EQ(asked.rung, sent.rung);
    EXPECT_EQ(asked.refusal, sent.refusal);
  }
}

TEST_F(FlowLookupTest, ForetellsWhatTheLadderDoes) {
  for (int client = 1; client < 60; ++client) {
    const FlowQuestion question = About("198.51.100." + std::to_string(client), "203.0.113.10");
    const FlowFinding before = Ask(question);
    EXPECT_EQ(before.vip, vip_);
    EXPECT_EQ(before.rung, Rung::kScheduler);
    EXPECT_FALSE(before.tracked.exists);
    EXPECT_EQ(before.slots, 1009u);
    const auto& slots = state_->pools[pool_.index()]->slots;
    EXPECT_EQ(BackendId(slots[before.slot]), before.backend);
    // Asking leaves no trace: the packet begins the flow.
    const Selection sent = Send(question, vip_, net::kTcpSyn);
    EXPECT_EQ(sent.backend, before.backend);
    EXPECT_EQ(sent.rung, Rung::kScheduler);
    const FlowFinding after = Ask(question, 3);
    EXPECT_EQ(after.rung, Rung::kConnectionTable);
    EXPECT_EQ(after.backend, sent.backend);
    EXPECT_EQ(after.tracked.state, lb::FlowState::kNew);
    EXPECT_EQ(after.tracked.idle_s, 3u);
    EXPECT_TRUE(after.tracked.backend_exists);
  }
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 59u);
}

TEST_F(FlowLookupTest, AnEntryOutlastsADrainAndNotARemoval) {
  const FlowQuestion question = About("198.51.100.1", "203.0.113.10");
  const BackendId first = Send(question, vip_, net::kTcpSyn).backend;
  fixture_.Drain(first);
  state_ = fixture_.Build();
  FlowFinding finding = Ask(question);
  EXPECT_EQ(finding.backend, first);
  EXPECT_EQ(finding.rung, Rung::kConnectionTable);
  EXPECT_NE(finding.scheduled, first);
  fixture_.Remove(first);
  state_ = fixture_.Build();
  finding = Ask(question);
  EXPECT_TRUE(finding.tracked.exists);
  EXPECT_FALSE(finding.tracked.backend_exists);
  EXPECT_EQ(finding.rung, Rung::kScheduler);
  EXPECT_EQ(finding.backend, finding.scheduled);
  EXPECT_EQ(Send(question, vip_, net::kTcpAck).backend, finding.backend);
}

TEST_F(FlowLookupTest, SaysWhatIsNoVipsAndWhatHasNoBackend) {
  EXPECT_FALSE(Ask(About("198.51.100.1", "203.0.113.99")).is_vip_address);
  const FlowFinding other_port = Ask(About("198.51.100.1", "203.0.113.10", 81));
  EXPECT_TRUE(other_port.is_vip_address);
  EXPECT_FALSE(other_port.vip.valid());
  for (const BackendId id : backends_) fixture_.Drain(id);
  state_ = fixture_.Build();
  const FlowFinding nobody = Ask(About("198.51.100.1", "203.0.113.10"));
  EXPECT_TRUE(nobody.vip.valid());
  EXPECT_FALSE(nobody.backend.valid());
  EXPECT_EQ(nobody.slots, 0u);
  EXPECT_EQ(nobody.rung, Rung::kNone);
}

TEST_F(FlowLookupTest, KnowsVipsWithoutTrackingAndIpv6) {
  EXPECT_EQ(Ask(About("198.51.100.1", "203.0.113.11")).rung, Rung::kHashOnly);
  const FlowFinding finding = Ask(About("2001:db8::7", "2001:db8:f::10"));
  EXPECT_TRUE(finding.backend.valid());
  EXPECT_EQ(Send(About("2001:db8::7", "2001:db8:f::10"), finding.vip, net::kTcpSyn).backend, finding.backend);
  EXPECT_TRUE(Ask(About("2001:db8::7", "2001:db8:f::10")).tracked.exists);
}

TEST_F(FlowLookupTest, ReadsTheCookieThatTheClientEchoes) {
  FlowQuestion question = About("198.51.100.1", "203.0.113.12");
  EXPECT_EQ(Ask(question).rung, Rung::kScheduler) << "without timestamps it would be entered";
  const lb::FlowTuple tuple = {.source = question.client.data(),
                               .destination = question.destination.data(),
                               .source_port = question.client_port,
                               .destination_port = question.destination_port,
                               .protocol = question.protocol,
                               .family = net::Family::kIpv4};
  lb::CookieKeys keys;
  keys.Set(0, kSecret);
  const auto echo_of = [&](uint32_t id) {
    return lb::EncodeTimestamp(kLayout, 123456, lb::EncodeCookie(kLayout, keys, 0, tuple, {.backend = id}));
  };
  question.has_echo = true;
  for (const BackendId id : backends_) {
    question.echo = echo_of(CookieIdOf(id));
    const FlowFinding finding = Ask(question);
    EXPECT_EQ(finding.cookie, id);
    EXPECT_EQ(finding.backend, id);
    EXPECT_EQ(finding.rung, Rung::kCookie);
  }
  fixture_.Drain(backends_[0]);
  fixture_.Remove(backends_[1]);
  state_ = fixture_.Build();
  question.echo = echo_of(CookieIdOf(backends_[0]));
  EXPECT_EQ(Ask(question).backend, backends_[0]) << "a draining backend keeps its connections";
  question.echo = echo_of(CookieIdOf(backends_[1]));
  const FlowFinding gone = Ask(question);
  EXPECT_FALSE(gone.cookie.valid());
  EXPECT_EQ(gone.backend, gone.scheduled);
  EXPECT_EQ(gone.rung, Rung::kHashOnly) << "what has timestamps makes no entry";
  // VIPs without cookies do not look at timestamps.
  question.destination = test::Address("203.0.113.10");
  EXPECT_EQ(Ask(question).rung, Rung::kScheduler);
  EXPECT_EQ(counters_.cookies_refused.Value(), 0u) << "asking counts nothing";
}

TEST_F(FlowLookupTest, NamesTheSecondChance) {
  const FlowQuestion question = About("198.51.100.7", "203.0.113.10");
  fixture_.Vip(vip_).entry.mode = ForwardingMode::kGue;
  fixture_.Vip(vip_).entry.second_chance = true;
  state_ = fixture_.Build();
  const BackendId first = Ask(question).backend;
  EXPECT_TRUE(Ask(question).second.valid());
  EXPECT_NE(Ask(question).second, first);
  fixture_.Drain(first);
  state_ = fixture_.Build();
  EXPECT_NE(Ask(question).backend, first);
  EXPECT_EQ(Ask(question).second, first);
  const FlowQuestion other = About("198.51.100.7", "203.0.113.11");
  EXPECT_FALSE(Ask(other).second.valid()) << "the VIP has no second chance";
}

}  // namespace
}  // namespace sluice::fwd
