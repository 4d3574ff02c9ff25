#include "dataplane/fwd/cookies.h"

#include <gtest/gtest.h>

#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"
#include "tests/unit/fwd/cookie_sample.h"

namespace sluice::fwd {
namespace {

using net::kTcpAck;
using net::kTcpSyn;

class CookiesTest : public testing::Test {
 protected:
  CookiesTest() : counters_(16, 64), tables_({.v4 = 1000, .v6 = 1000, .wide = 1000}, memory_.Source()) {
    for (const int pool : {0, 1}) {
      pools_[pool] = fixture_.AddPool();
      for (int i = 0; i < 3; ++i) {
        const BackendId id = fixture_.AddBackend(pools_[pool], "192.0.2." + std::to_string(10 + 10 * pool + i));
        fixture_.spec().backends[id.index()].info.cookie_id = static_cast<uint16_t>(100 * pool + 7 * i);
      }
      vips_[pool] = fixture_.AddVip("203.0.113.1" + std::to_string(pool), net::kProtocolTcp, 80, pools_[pool]);
      fixture_.Vip(vips_[pool]).entry.cookies = true;
      fixture_.Vip(vips_[pool]).entry.cookie_layout = kLayout;
    }
    fixture_.spec().cookie_keys[0] = kSecret;
    state_ = fixture_.Build();
  }

  FlowView Flow(int pool, uint8_t flags) const {
    return {.client = kClient,
            .destination = kVip,
            .protocol = net::kProtocolTcp,
            .tcp_flags = flags,
            .has_timestamps = true,
            .has_echo = flags != kTcpSyn,
            .client_port = Be16::FromHost(5000),
            .destination_port = Be16::FromHost(80),
            .vip = vips_[pool]};
  }

  // What a packet is given whose cookie says so.
  Selection Tiered(const lb::CookieFields& fields) {
    FlowView flow = Flow(0, kTcpAck);
    const lb::FlowTuple tuple = {kClient, kVip, flow.client_port, flow.destination_port, 6, net::Family::kIpv4};
    const lb::CookieLayout& layout = fixture_.Vip(vips_[0]).entry.cookie_layout;
    flow.echo =
        lb::EncodeTimestamp(layout, 123456, lb::EncodeCookie(layout, state_->cookie_keys->keys, 0, tuple, fields));
    return SelectBackend(*state_, flow, 0, tables_, counters_);
  }

  Selection Echo(int pool, uint32_t id, uint32_t key = 0, uint32_t flip = 0, uint8_t flags = kTcpAck) {
    FlowView flow = Flow(pool, flags);
    const lb::FlowTuple tuple = {kClient, kVip, flow.client_port, flow.destination_port, 6, net::Family::kIpv4};
    lb::CookieKeys keys;
    keys.Set(key, kSecret);
    flow.echo =
        lb::EncodeTimestamp(kLayout, 123456, lb::EncodeCookie(kLayout, keys, key, tuple, {.backend = id}) ^ flip);
    return SelectBackend(*state_, flow, 0, tables_, counters_);
  }

  static constexpr uint8_t kClient[4] = {198, 51, 100, 7};
  static constexpr uint8_t kVip[4] = {203, 0, 113, 10};
  test::TestMemory memory_;
  test::StateFixture fixture_;
  PoolId pools_[2];
  VipId vips_[2];
  std::shared_ptr<const ForwardingState> state_;
  WorkerCounters counters_;
  FlowTables tables_;
};

TEST_F(CookiesTest, NameBackendsOfTheirPoolOnly) {
  for (uint16_t i = 0; i < 3; ++i) {
    const Selection said = Echo(0, 7U * i);
    EXPECT_EQ(said.rung, Rung::kCookie);
    EXPECT_EQ(said.backend, BackendId(i));
    EXPECT_EQ(Echo(1, 100U + 7 * i).backend, BackendId(static_cast<uint16_t>(3 + i)));
    // An id of the other pool is none here.
    EXPECT_EQ(Echo(0, 100U + 7 * i).rung, Rung::kHashOnly);
  }
  EXPECT_EQ(counters_.cookies_refused.Value(), 3u);
}

TEST_F(CookiesTest, WhatIsNoneMakesNoState) {
  EXPECT_EQ(Echo(0, 7, 1).rung, Rung::kHashOnly) << "no such key";
  EXPECT_EQ(Echo(0, 8).rung, Rung::kHashOnly) << "no such id";
  fixture_.Remove(BackendId(1));
  state_ = fixture_.Build();
  EXPECT_EQ(Echo(0, 7).rung, Rung::kHashOnly) << "gone";
  EXPECT_EQ(counters_.unprotected.no_cookie.Value(), 3u);
  EXPECT_EQ(counters_.unprotected.unknown.Value(), 0u);
  EXPECT_EQ(counters_.vips[vips_[0].index()].unprotected.Value(), 3u);
  // Each of the values of this tuple is tried: 1 of 16 passes the check bits, and of these 2 of 256 name a backend.
  int taken = 0;
  for (uint32_t flip = 0; flip < 4096; ++flip) taken += Echo(0, 0, 0, flip).rung == Rung::kCookie ? 1 : 0;
  EXPECT_EQ(taken, 2);
  const uint64_t unprotected = counters_.unprotected.no_cookie.Value();
  EXPECT_EQ(SelectBackend(*state_, Flow(0, kTcpSyn), 0, tables_, counters_).rung, Rung::kHashOnly);
  EXPECT_EQ(counters_.unprotected.no_cookie.Value(), unprotected) << "a connection that begins";
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
}

TEST_F(CookiesTest, DrainingBackendsKeepTheirConnections) {
  fixture_.Drain(BackendId(1));
  state_ = fixture_.Build();
  EXPECT_EQ(Echo(0, 7).backend, BackendId(1));
}

TEST_F(CookiesTest, NamesOfBackendsThatAreDownCountAsTheirPoolSays) {
  fixture_.Down(BackendId(1), OnDown::kKeep);
  state_ = fixture_.Build();
  EXPECT_EQ(Echo(0, 7).rung, Rung::kCookie);
  EXPECT_EQ(Echo(0, 7).backend, BackendId(1));
  fixture_.Down(BackendId(1), OnDown::kReschedule);
  state_ = fixture_.Build();
  const Selection other = Echo(0, 7);
  EXPECT_EQ(other.rung, Rung::kHashOnly);
  EXPECT_TRUE(other.backend.valid());
  EXPECT_NE(other.backend, BackendId(1));
  // The cookie is a good one, and its connection moves because of its backend.
  EXPECT_EQ(counters_.cookies_refused.Value(), 0u);
  EXPECT_EQ(counters_.unprotected.no_cookie.Value(), 0u);
  EXPECT_EQ(counters_.rescheduled.Value(), 1u);
  fixture_.Down(BackendId(1), OnDown::kReset);
  state_ = fixture_.Build();
  const Selection reset = Echo(0, 7);
  EXPECT_EQ(reset.rung, Rung::kCookie);
  EXPECT_FALSE(reset.backend.valid());
  EXPECT_EQ(reset.refusal, Refusal::kReset);
  // The last word of a connection goes where it was, and is not answered.
  EXPECT_EQ(Echo(0, 7, 0, 0, net::kTcpRst).backend, BackendId(1));
  EXPECT_EQ(counters_.cookies_refused.Value(), 0u);
  EXPECT_EQ(counters_.rescheduled.Value(), 1u);
}

TEST_F(CookiesTest, AtTheFirstTierTheyNameDirectors) {
  VipEntry& vip = fixture_.Vip(vips_[0]).entry;
  vip.cookie_layout = {.key_bits = 1, .tier_bits = 4, .backend_bits = 6, .clock_bits = 5};
  vip.first_tier = true;
  state_ = fixture_.Build();
  // Ids 0, 7 and 14 are those of directors; what the cookie says of servers does not matter.
  for (const uint32_t server : {0U, 7U, 63U}) {
    EXPECT_EQ(Tiered({.tier = 7, .backend = server}).backend, BackendId(1));
    EXPECT_EQ(Tiered({.tier = 14, .backend = server}).rung, Rung::kCookie);
    EXPECT_EQ(Tiered({.tier = 8, .backend = server}).rung, Rung::kHashOnly) << "no such director";
  }
  fixture_.Drain(BackendId(1));
  state_ = fixture_.Build();
  EXPECT_EQ(Tiered({.tier = 7, .backend = 1}).backend, BackendId(1)) << "a director that drains";
  fixture_.Remove(BackendId(1));
  state_ = fixture_.Build();
  const Selection other = Tiered({.tier = 7, .backend = 1});
  EXPECT_EQ(other.rung, Rung::kHashOnly) << "one that is gone";
  EXPECT_TRUE(other.backend.valid());
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
  EXPECT_EQ(SelectBackend(*state_, Flow(0, kTcpSyn), 0, tables_, counters_).syn_echo, 0u);
}

TEST_F(CookiesTest, TheSecondTierServesWhatAnyOfItsDirectorsBegan) {
  VipEntry& vip = fixture_.Vip(vips_[0]).entry;
  vip.cookie_layout = {.key_bits = 1, .tier_bits = 4, .backend_bits = 6, .clock_bits = 5};
  vip.tier_id = 9;
  for (const SchedulingPolicy policy : {SchedulingPolicy::kMaglev, SchedulingPolicy::kPowerOfTwo}) {
    fixture_.spec().pools[0].policy = policy;
    state_ = fixture_.Build();
    for (const uint32_t tier : {9U, 0U, 15U}) EXPECT_EQ(Tiered({.tier = tier, .backend = 7}).backend, BackendId(1));
    // Its SYNs tell the agents who it is, whatever the client wrote there.
    FlowView syn = Flow(0, kTcpSyn);
    syn.echo = lb::SynTier(3);
    EXPECT_EQ(SelectBackend(*state_, syn, 0, tables_, counters_).syn_echo, lb::SynTier(9));
    EXPECT_EQ(SelectBackend(*state_, Flow(1, kTcpSyn), 0, tables_, counters_).syn_echo, 0u) << "one tier";
    syn.has_timestamps = false;
    syn.client_port = Be16::FromHost(5001);
    EXPECT_EQ(SelectBackend(*state_, syn, 0, tables_, counters_).syn_echo, 0u);
    EXPECT_EQ(SelectBackend(*state_, Flow(0, kTcpSyn | kTcpAck), 0, tables_, counters_).syn_echo, 0u);
  }
}

TEST_F(CookiesTest, CookiesThatADirectorMakesHaveItsTierId) {
  VipEntry& vip = fixture_.Vip(vips_[0]).entry;
  vip.cookie_layout = {.key_bits = 1, .tier_bits = 4, .backend_bits = 6, .clock_bits = 5};
  vip.tier_id = 9;
  state_ = fixture_.Build();
  const FlowView flow = Flow(0, kTcpSyn);
  const lb::FlowTuple tuple = {kClient, kVip, flow.client_port, flow.destination_port, 6, net::Family::kIpv4};
  lb::NatStamps stamps;
  ASSERT_TRUE(BeginStamps(*state_, vip, tuple, BackendId(2), stamps));
  const auto said = lb::DecodeCookie(vip.cookie_layout, state_->cookie_keys->keys, tuple,
                                     lb::CookieOf(vip.cookie_layout, stamps.Send(1000)));
  ASSERT_TRUE(said);
  EXPECT_EQ(said->tier, 9u);
  EXPECT_EQ(said->backend, 14u);
}

TEST_F(CookiesTest, PartsThatStayAreShared) {
  const auto before = state_;
  fixture_.Remove(BackendId(5));
  state_ = fixture_.Build();
  EXPECT_EQ(before->cookie_ids[0], state_->cookie_ids[0]);
  EXPECT_NE(before->cookie_ids[1], state_->cookie_ids[1]);
  EXPECT_EQ(before->cookie_keys, state_->cookie_keys);
}

TEST_F(CookiesTest, DigestsTellWhatDiffers) {
  const CookieDigest before = state_->cookie_digest;
  EXPECT_EQ(fixture_.Build()->cookie_digest, before);
  fixture_.spec().backends[2].info.cookie_id = 15;
  CookieDigest now = fixture_.Build()->cookie_digest;
  EXPECT_NE(now.ids, before.ids);
  EXPECT_EQ(now.keys, before.keys);
  fixture_.spec().backends[2].info.cookie_id = 14;
  fixture_.spec().cookie_keys[1] = lb::AesBlock{9};
  now = fixture_.Build()->cookie_digest;
  EXPECT_EQ(now.ids, before.ids);
  EXPECT_NE(now.keys, before.keys);
  // Which tier-2 director this is, none of the others has in common with it; where cookies lead, all of a tier have.
  fixture_.Vip(vips_[1]).entry.tier_id = 1;
  EXPECT_EQ(fixture_.Build()->cookie_digest.ids, before.ids);
  fixture_.Vip(vips_[1]).entry.first_tier = true;
  EXPECT_NE(fixture_.Build()->cookie_digest.ids, before.ids);
  fixture_.Vip(vips_[1]).entry.first_tier = false;
  fixture_.Vip(vips_[1]).entry.cookie_layout.check_bits = 3;
  EXPECT_NE(fixture_.Build()->cookie_digest.ids, before.ids);
}

}  // namespace
}  // namespace sluice::fwd
