#include "dataplane/fwd/state_builder.h"

#include <gtest/gtest.h>

#include <cstring>

#include "dataplane/fwd/resolve.h"
#include "dataplane/net/checksum.h"
#include "tests/support/state_fixture.h"

namespace sluice::fwd {
namespace {

class StateBuilderTest : public testing::Test {
 protected:
  StateBuilderTest() {
    web_ = fixture_.AddPool();
    dns_ = fixture_.AddPool();
    fixture_.AddBackend(web_, "192.0.2.10");
    fixture_.AddBackend(web_, "192.0.2.11");
    fixture_.AddBackend(dns_, "2001:db8::10");
    fixture_.AddVip("203.0.113.10", 6, 80, web_);
    fixture_.AddVip("2001:db8::53", 17, 53, dns_, ForwardingMode::kIpip);
  }

  // The refusal's message.
  std::string Refused() {
    const auto state = BuildState(fixture_.spec(), 1, nullptr);
    EXPECT_FALSE(state.ok());
    EXPECT_EQ(state.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(state.status().message());
  }

  test::StateFixture fixture_;
  PoolId web_;
  PoolId dns_;
};

TEST_F(StateBuilderTest, SharesWhatDidNotChange) {
  const auto first = fixture_.Build();
  const auto same = fixture_.Build();
  EXPECT_GT(same->generation, first->generation);
  EXPECT_EQ(same->keys, first->keys);
  EXPECT_EQ(same->vip_table, first->vip_table);
  EXPECT_EQ(same->pools[0], first->pools[0]);
  EXPECT_EQ(same->backend_infos, first->backend_infos);

  fixture_.AddBackend(web_, "192.0.2.12");
  const auto changed = fixture_.Build();
  EXPECT_NE(changed->pools[web_.index()], first->pools[web_.index()]);
  EXPECT_EQ(changed->pools[dns_.index()], first->pools[dns_.index()]);
  EXPECT_EQ(changed->vip_table, first->vip_table);
}

TEST_F(StateBuilderTest, AnotherSeedRebuildsTables) {
  const auto first = fixture_.Build();
  fixture_.spec().seed[0] ^= 1;
  const auto changed = fixture_.Build();
  EXPECT_NE(changed->keys, first->keys);
  EXPECT_NE(changed->pools[0]->slots, first->pools[0]->slots);
}

TEST_F(StateBuilderTest, TheOrderOfMembersDoesNotMatter) {
  const auto first = fixture_.Build();
  test::StateFixture other;
  const PoolId web = other.AddPool();
  const PoolId dns = other.AddPool();
  other.AddBackend(web, "192.0.2.10");
  other.AddBackend(web, "192.0.2.11");
  other.AddBackend(dns, "2001:db8::10");
  std::swap(other.spec().pools[0].members[0], other.spec().pools[0].members[1]);
  EXPECT_EQ(other.Build()->pools[0]->slots, first->pools[0]->slots);
}

TEST_F(StateBuilderTest, RefusesTablesThatCannotBe) {
  fixture_.spec().pools[0].table_size = 1000;
  EXPECT_NE(Refused().find("table size 1000 must be a prime above the number of its backends, 2"), std::string::npos);
  fixture_.spec().pools[0].table_size = 2;
  EXPECT_NE(Refused().find("must be a prime"), std::string::npos);
}

TEST_F(StateBuilderTest, RefusesBrokenReferences) {
  fixture_.spec().vips[0].entry.pool = PoolId(9);
  EXPECT_NE(Refused().find("refers to pool id 9"), std::string::npos);
  fixture_.spec().vips[0].entry.pool = web_;
  fixture_.spec().pools[0].members[0].backend = BackendId(77);
  EXPECT_NE(Refused().find("is not an active backend"), std::string::npos);
}

TEST_F(StateBuilderTest, RefusesIdsAndVipsUsedTwice) {
  auto spec = fixture_.spec();
  fixture_.spec().vips[1].id = fixture_.spec().vips[0].id;
  EXPECT_NE(Refused().find("VIP id 0 is used twice"), std::string::npos);
  fixture_.spec() = spec;
  fixture_.spec().backends[1].id = fixture_.spec().backends[0].id;
  EXPECT_NE(Refused().find("backend id 0 is used twice"), std::string::npos);
  fixture_.spec() = spec;
  fixture_.spec().pools[1].id = fixture_.spec().pools[0].id;
  EXPECT_NE(Refused().find("pool id 0 is used twice"), std::string::npos);
  fixture_.spec() = spec;
  fixture_.AddVip("203.0.113.10", 6, 80, web_);
  EXPECT_NE(Refused().find("both claim 203.0.113.10/32 protocol 6 ports 80 to 80"), std::string::npos);
}

TEST_F(StateBuilderTest, FastPathVipsSayModeAndFamily) {
  const VipId v6 = fixture_.AddVip("2001:db8:f::99", 17, 80, web_, ForwardingMode::kL2);
  const VipId v4 = fixture_.AddVip("203.0.113.99", 17, 80, web_, ForwardingMode::kIpip);
  const auto state = fixture_.Build();
  const std::vector<FastPathVip>& vips = *state->fast_path_vips;
  EXPECT_EQ(vips[v6.index()].family, net::Family::kIpv6);
  EXPECT_EQ(vips[v6.index()].mode, ForwardingMode::kL2);
  EXPECT_EQ(vips[v4.index()].family, net::Family::kIpv4);
  EXPECT_EQ(vips[v4.index()].mode, ForwardingMode::kIpip);
}

TEST_F(StateBuilderTest, WithoutTrackingConnectionsGoByThePoolsTableWhateverItsPolicy) {
  const VipId id = fixture_.AddVip("203.0.113.99", net::kProtocolTcp, 80, web_, ForwardingMode::kIpip);
  fixture_.spec().pools[web_.index()].policy = SchedulingPolicy::kWeightedRoundRobin;
  const auto tracked = fixture_.Build();
  EXPECT_EQ((*tracked->fast_path_vips)[id.index()].way, FastPathVip::Way::kTable);
  EXPECT_EQ((*tracked->fast_path_vips)[id.index()].slot_count, 0u);
  fixture_.Vip(id).entry.tracked = false;
  const auto untracked = fixture_.Build();
  const FastPathVip& vip = (*untracked->fast_path_vips)[id.index()];
  EXPECT_EQ(vip.way, FastPathVip::Way::kHash);
  EXPECT_EQ(vip.slot_count, untracked->pools[web_.index()]->slots.size());
  EXPECT_EQ(vip.slots, untracked->pools[web_.index()]->slots.data());
}

TEST_F(StateBuilderTest, SecondLinesAreReadOfIpv6AndOfCookies) {
  test::StateFixture v4;
  const PoolId pool = v4.AddPool();
  v4.AddBackend(pool, "192.0.2.10");
  v4.AddVip("203.0.113.99", net::kProtocolTcp, 80, pool, ForwardingMode::kIpip);
  EXPECT_FALSE(v4.Build()->reads_second_lines);
  v4.AddVip("203.0.113.99", net::kProtocolTcp, 81, pool, ForwardingMode::kIpip);
  v4.spec().vips.back().entry.cookies = true;
  EXPECT_TRUE(v4.Build()->reads_second_lines);
  v4.spec().vips.pop_back();
  v4.AddVip("203.0.113.99", net::kProtocolUdp, 443, pool, ForwardingMode::kIpip);
  v4.spec().vips.back().entry.cookies = v4.spec().vips.back().entry.quic = true;
  EXPECT_TRUE(v4.Build()->reads_second_lines);
  v4.spec().vips.pop_back();
  v4.AddVip("2001:db8:f::99", net::kProtocolTcp, 80, pool, ForwardingMode::kIpip);
  EXPECT_TRUE(v4.Build()->reads_second_lines);
  v4.spec().vips.pop_back();
  EXPECT_FALSE(v4.Build()->reads_second_lines);
  EXPECT_FALSE(v4.Build()->has_v6_backends);
  v4.AddBackend(pool, "2001:db8::10");
  EXPECT_TRUE(v4.Build()->reads_second_lines);
  EXPECT_TRUE(v4.Build()->has_v6_backends);
}

TEST_F(StateBuilderTest, BackendEntriesCarryReadyHeaders) {
  const auto state = fixture_.Build();
  const BackendEntry& v4 = (*state->backends)[0];
  EXPECT_TRUE(v4.resolved);
  EXPECT_TRUE(v4.has_source);
  EXPECT_EQ(v4.tunnel, static_cast<uint8_t>(net::Family::kIpv4));
  net::Ipv4Header ip4;
  std::memcpy(&ip4, v4.outer.data(), sizeof(ip4));
  EXPECT_EQ(ip4.source, test::Address("192.0.2.2").v4());
  EXPECT_EQ(ip4.destination, test::Address("192.0.2.10").v4());
  EXPECT_EQ(ip4.protocol, net::kProtocolIpip);
  EXPECT_EQ(ip4.checksum, 0) << "it is made of outer_sum for each packet";
  EXPECT_EQ(Be16::FromHost(static_cast<uint16_t>(~v4.outer_sum())).raw(),
            net::InternetChecksum(v4.outer.data(), sizeof(ip4)));
  const BackendEntry& v6 = (*state->backends)[2];
  net::Ipv6Header ip6;
  std::memcpy(&ip6, v6.outer.data(), sizeof(ip6));
  EXPECT_EQ(ip6.next_header, net::kProtocolIpv6);
  EXPECT_EQ(net::IpAddress::FromBytes(net::Family::kIpv6, ip6.destination), test::Address("2001:db8::10"));
}

TEST_F(StateBuilderTest, UnknownNextHopsAreNotResolved) {
  fixture_.hop() = NextHop();
  const auto state = fixture_.Build();
  EXPECT_FALSE((*state->backends)[0].resolved);
  EXPECT_FALSE((*state->backends)[0].has_source);
  EXPECT_EQ((*state->backends)[0].tunnel, 0);
}

class NatStateTest : public testing::Test {
 protected:
  NatStateTest() {
    pool_ = fixture_.AddPool();
    server_ = fixture_.AddBackend(pool_, "192.0.2.10");
    fixture_.spec().backends[0].info.nat_port = 8080;
    vip_ = fixture_.AddVip("203.0.113.10", 6, 80, pool_, ForwardingMode::kNat);
  }

  static lb::ReturnMatch Return(const ForwardingState& state, uint16_t port) {
    return state.returns->LookupV4(test::Address("192.0.2.10").v4(), 6, Be16::FromHost(port));
  }

  test::StateFixture fixture_;
  PoolId pool_;
  BackendId server_;
  VipId vip_;
};

TEST_F(NatStateTest, AnswersOfBackendsLeadBackToTheirVip) {
  const auto state = fixture_.Build();
  const lb::ReturnMatch match = Return(*state, 8080);
  ASSERT_EQ(match.kind, lb::ReturnMatch::Kind::kUnique);
  EXPECT_EQ(match.services->vip, vip_);
  EXPECT_EQ(match.services->port.Host(), 80);
  EXPECT_FALSE((*state->vips)[vip_.index()].nat_sessions);
  const BackendEntry& entry = (*state->backends)[server_.index()];
  EXPECT_EQ(entry.nat_port.Host(), 8080);
  EXPECT_EQ(net::IpAddress::FromBytes(entry.family, entry.address()), test::Address("192.0.2.10"));
}

TEST_F(NatStateTest, BackendsThatDrainStillAnswer) {
  const auto before = fixture_.Build();
  fixture_.Drain(server_);
  const auto drained = fixture_.Build();
  EXPECT_EQ(Return(*drained, 8080).kind, lb::ReturnMatch::Kind::kUnique);
  EXPECT_EQ(drained->returns, before->returns) << "a drain changes nothing of it";
  fixture_.Remove(server_);
  EXPECT_EQ(Return(*fixture_.Build(), 8080).kind, lb::ReturnMatch::Kind::kNone);
}

TEST_F(NatStateTest, OtherModesHaveNoAnswersToRewrite) {
  for (const ForwardingMode mode : {ForwardingMode::kL2, ForwardingMode::kIpip, ForwardingMode::kFullNat}) {
    fixture_.Vip(vip_).entry.mode = mode;
    const auto state = fixture_.Build();
    EXPECT_TRUE(state->returns->empty());
    EXPECT_EQ(Return(*state, 8080).kind, lb::ReturnMatch::Kind::kNone);
  }
}

TEST_F(NatStateTest, AmbiguousVipsKeepTheStateOfTheirFlows) {
  const VipId other = fixture_.AddVip("203.0.113.11", 6, 80, pool_, ForwardingMode::kNat);
  auto state = fixture_.Build();
  EXPECT_EQ(Return(*state, 8080).kind, lb::ReturnMatch::Kind::kAmbiguous);
  EXPECT_TRUE((*state->vips)[vip_.index()].nat_sessions);
  EXPECT_TRUE((*state->vips)[other.index()].nat_sessions);
  fixture_.Vip(other).entry.protocol = 17;
  state = fixture_.Build();
  EXPECT_EQ(Return(*state, 8080).kind, lb::ReturnMatch::Kind::kUnique);
  EXPECT_FALSE((*state->vips)[vip_.index()].nat_sessions);
}

TEST_F(NatStateTest, VipsHaveANewNumberWhenTheyOrTheirBackendsAreOthers) {
  const uint32_t first = fixture_.Build()->vips_number;
  EXPECT_NE(first, 0u);
  fixture_.Drain(server_);
  EXPECT_EQ(fixture_.Build()->vips_number, first) << "one that drains answers as before";
  fixture_.Vip(vip_).last_port = fixture_.Vip(vip_).first_port = 81;
  const uint32_t second = fixture_.Build()->vips_number;
  EXPECT_NE(second, first);
  fixture_.AddBackend(pool_, "192.0.2.99");
  const uint32_t third = fixture_.Build()->vips_number;
  EXPECT_NE(third, second) << "it may answer";
  test::StateFixture other;
  EXPECT_NE(other.Build()->vips_number, third);
}

TEST_F(NatStateTest, ClientRoutesGoFromStateToState) {
  const auto first = fixture_.Build();
  ASSERT_NE(first->client_routes, nullptr);
  EXPECT_EQ(fixture_.Build()->client_routes, first->client_routes);
  const auto routes = std::make_shared<const ClientRoutes>();
  const auto lookup = [](const net::IpAddress&) { return NextHop(); };
  EXPECT_EQ(ResolveNextHops(*first, lookup, routes)->client_routes, routes);
  EXPECT_EQ(ResolveNextHops(*first, lookup)->client_routes, first->client_routes);
}

TEST_F(StateBuilderTest, RemovedBackendsLeaveAGap) {
  fixture_.Remove(BackendId(0));
  const auto state = fixture_.Build();
  EXPECT_EQ((*state->backends)[0].state, BackendState::kAbsent);
  EXPECT_EQ((*state->backends)[1].state, BackendState::kActive);
}

}  // namespace
}  // namespace sluice::fwd
