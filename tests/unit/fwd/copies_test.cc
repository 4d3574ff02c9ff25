#include "dataplane/fwd/copies.h"

#include <gtest/gtest.h>

#include "dataplane/fwd/ladder.h"
#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"

namespace sluice::fwd {
namespace {

constexpr FlowView kReset = {.protocol = net::kProtocolTcp, .tcp_flags = net::kTcpRst, .vip = {}};
constexpr FlowView kError = {.protocol = net::kProtocolTcp, .related = true, .vip = {}};

VipEntry WithCookies() {
  VipEntry vip;
  vip.cookies = true;
  return vip;
}

TEST(CopiesTest, WhatNothingKnowsGoesToAllBackends) {
  for (const FlowView& flow : {kReset, kError}) {
    for (const Rung rung : {Rung::kScheduler, Rung::kSchedulerNoEntry, Rung::kHashOnly, Rung::kSafe}) {
      EXPECT_TRUE(GoesToAllBackends(WithCookies(), flow, rung));
    }
    for (const Rung rung : {Rung::kNone, Rung::kConnectionTable, Rung::kCookie, Rung::kSlot}) {
      EXPECT_FALSE(GoesToAllBackends(WithCookies(), flow, rung)) << RungName(rung);
    }
  }
  FlowView segment = kReset;
  segment.tcp_flags = net::kTcpAck | net::kTcpFin;
  EXPECT_FALSE(GoesToAllBackends(WithCookies(), segment, Rung::kHashOnly));
}

TEST(CopiesTest, OfVipsWhoseConnectionsAreNotAllInATable) {
  EXPECT_FALSE(GoesToAllBackends(VipEntry(), kReset, Rung::kScheduler));
  VipEntry vip = WithCookies();
  vip.slots = true;
  EXPECT_TRUE(GoesToAllBackends(vip, kReset, Rung::kScheduler));
  vip = WithCookies();
  vip.first_tier = true;
  EXPECT_FALSE(GoesToAllBackends(vip, kReset, Rung::kScheduler));
  vip = WithCookies();
  vip.mode = ForwardingMode::kNat;
  EXPECT_FALSE(GoesToAllBackends(vip, kReset, Rung::kScheduler));
}

TEST(CopiesTest, ThePoolsListIsSharedUntilItChanges) {
  test::StateFixture fixture;
  const PoolId pool = fixture.AddPool();
  const BackendId first = fixture.AddBackend(pool, "192.0.2.1");
  const BackendId second = fixture.AddBackend(pool, "192.0.2.2");
  const VipId vip = fixture.AddVip("203.0.113.1", net::kProtocolTcp, 80, pool);
  fixture.AddVip("203.0.113.2", net::kProtocolTcp, 80, fixture.AddPool());
  fixture.Vip(vip).entry.cookies = true;
  const auto before = fixture.Build();
  ASSERT_EQ(before->pool_backends.size(), 1u) << "the other VIP makes no copies";
  fixture.Drain(first);
  const auto drained = fixture.Build();
  EXPECT_EQ(drained->pool_backends[0], before->pool_backends[0]);
  const auto backends = BackendsOf(*drained, (*drained->vips)[vip.index()]);
  EXPECT_EQ(std::vector<BackendId>(backends.begin(), backends.end()), (std::vector{first, second}));
  fixture.Remove(first);
  const auto removed = fixture.Build();
  EXPECT_EQ(BackendsOf(*removed, (*removed->vips)[vip.index()]).size(), 1u);
}

TEST(CopiesTest, TheBackupHasConnectionsToo) {
  test::StateFixture fixture;
  const PoolId pool = fixture.AddPool();
  const PoolId backup = fixture.AddPool();
  const BackendId first = fixture.AddBackend(pool, "192.0.2.1");
  const BackendId second = fixture.AddBackend(backup, "192.0.2.2");
  const VipId vip = fixture.AddVip("203.0.113.1", net::kProtocolTcp, 80, pool);
  fixture.Vip(vip).entry.cookies = fixture.Vip(vip).entry.slots = true;
  fixture.spec().pools[pool.index()].backup = backup;
  fixture.Drain(first);
  const auto state = fixture.Build();
  const VipEntry& entry = (*state->vips)[vip.index()];
  ASSERT_EQ(entry.pool, backup);
  const auto backends = BackendsOf(*state, entry);
  EXPECT_EQ(std::vector<BackendId>(backends.begin(), backends.end()), (std::vector{first, second}));
}

}  // namespace
}  // namespace sluice::fwd
