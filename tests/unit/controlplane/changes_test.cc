#include "controlplane/model/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/unit/controlplane/sample.h"

namespace sluice::model {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FakeFacts : public DataplaneFacts {
 public:
  bool SweptSince(uint64_t generation) const override { return swept >= generation; }
  VipCounts CountsOf(VipId id) const override { return vips.contains(id) ? vips.at(id) : VipCounts(); }
  BackendCounts CountsOf(BackendId id) const override {
    return backends.contains(id) ? backends.at(id) : BackendCounts();
  }

  uint64_t swept = 0;
  std::map<VipId, VipCounts> vips;
  std::map<BackendId, BackendCounts> backends;
};

class ChangesTest : public ::testing::Test {
 protected:
  // The registry after a change that must succeed; its lines are in lines_.
  Registry Apply(const Registry& from, const DesiredState& desired) {
    return Take(ApplyDesired(from, desired, {++generation_, facts_}));
  }
  Registry Take(absl::StatusOr<Change> change) {
    EXPECT_TRUE(change.ok()) << change.status();
    if (!change.ok()) return empty_;
    lines_ = change->lines;
    return change->next;
  }
  const BackendRecord& Backend(const Registry& registry, std::string_view name) {
    return **registry.GetBackend("web", name);
  }

  const Registry empty_{Limits{.vips = 4, .pools = 4, .backends = 4}};
  FakeFacts facts_;
  uint64_t generation_ = 0;
  std::vector<std::string> lines_;
};

TEST_F(ChangesTest, FirstApplyAddsEverything) {
  const Registry registry = Apply(empty_, SampleServices());
  EXPECT_THAT(lines_, ElementsAre("+ pool web: table_size 251", "+ backend web/web-1: 10.0.0.1 weight 100 active",
                                  "+ backend web/web-2: 10.0.0.2 weight 100 active",
                                  "+ vip www: 203.0.113.10:80/tcp pool web mode l2"));
  EXPECT_EQ(registry.BackendCount(), 2u);
  EXPECT_EQ(registry.FindVip("www")->pool, registry.FindPool("web")->id);
  EXPECT_EQ(registry.FindVip("w"), nullptr);
  EXPECT_EQ(registry.seed, kSampleSeed);
}

TEST_F(ChangesTest, SameAgainChangesNothingAndSharesThePool) {
  const Registry first = Apply(empty_, SampleServices());
  DesiredState shuffled = SampleServices();
  std::swap(shuffled.pools[0].backends[0], shuffled.pools[0].backends[1]);
  shuffled.seed.clear();
  const Registry second = Apply(first, shuffled);
  EXPECT_THAT(lines_, IsEmpty());
  EXPECT_EQ(first.pools[0], second.pools[0]);
  EXPECT_EQ(second.seed, kSampleSeed);
}

TEST_F(ChangesTest, DifferencesAreNamed) {
  const Registry first = Apply(empty_, SampleServices());
  DesiredState desired = SampleServices();
  desired.pools[0].table_size = 257;
  desired.pools[0].backends[0].weight = 0;
  desired.pools[0].backends[1] = SampleBackend("web-3", "10.0.0.3");
  desired.vips[0].mode = ForwardingMode::kIpip;
  Apply(first, desired);
  EXPECT_THAT(lines_, ElementsAre("~ pool web: table_size 251 -> 257", "~ backend web/web-1: weight 100 -> 0",
                                  "+ backend web/web-3: 10.0.0.3 weight 100 active",
                                  "- backend web/web-2: active -> removed", "~ vip www: mode l2 -> ipip"));
}

// Running connections are found by hashes that the seed keys: with another one all of them would be lost.
TEST_F(ChangesTest, TheSeedOfRunningConnectionsStays) {
  const Registry first = Apply(empty_, SampleServices());
  DesiredState desired = SampleServices();
  desired.seed = "ff0102030405060708090a0b0c0d0e0f";
  const auto refused = ApplyDesired(first, desired, {++generation_, facts_});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), testing::HasSubstr("services.seed: differs"));
  EXPECT_THAT(std::string(refused.status().message()), testing::Not(testing::HasSubstr("ff01")));
  desired.seed = "000102030405060708090A0B0C0D0E0F";
  EXPECT_EQ(Apply(first, desired).seed, first.seed) << "the same number in capitals is the same seed";
}

// Without a line nothing would be published: each field must make one.
TEST_F(ChangesTest, EveryFieldOfAVipMakesALine) {
  const auto expect = [&](const std::string& line, const auto& change) {
    DesiredState desired = SampleServices();
    desired.vips[0].mode = ForwardingMode::kGue;
    const Registry first = Apply(empty_, desired);
    change(desired.vips[0]);
    const Registry second = Apply(first, desired);
    EXPECT_THAT(lines_, ElementsAre("~ vip www: " + line));
    EXPECT_EQ(second.FindVip("www")->id, first.FindVip("www")->id);
  };
  expect("mode gue -> gre", [](DesiredVip& vip) { vip.mode = ForwardingMode::kGre; });
  expect("gue_port 6080 -> 6081", [](DesiredVip& vip) { vip.gue_port = 6081; });
  expect("hash tuple -> client-port", [](DesiredVip& vip) { vip.hash = config::HashInput::kClientPort; });
  expect("connection_tracking full -> off", [](DesiredVip& vip) { vip.tracking = config::ConnectionTracking::kOff; });
  expect("mode gue -> full-nat, proxy_protocol none -> v2", [](DesiredVip& vip) {
    vip.mode = ForwardingMode::kFullNat;
    vip.proxy_protocol = config::ProxyProtocol::kV2;
  });
  expect("clamp_mss true -> false", [](DesiredVip& vip) { vip.clamp_mss = false; });
  expect("answer_echo true -> false", [](DesiredVip& vip) { vip.answer_echo = false; });
  expect(
      "tcp_syn_s the node's -> 5, tcp_established_s the node's -> 6, tcp_closing_s the node's -> 7, "
      "tcp_reset_s the node's -> 8, udp_s the node's -> 9",
      [](DesiredVip& vip) {
        vip.timeouts = {5, 6, 7, 8, 9};
      });
}

TEST_F(ChangesTest, WrittenDefaultsAreNoChange) {
  DesiredState desired = SampleServices();
  desired.vips[0].mode = ForwardingMode::kGue;
  const Registry first = Apply(empty_, desired);
  desired.vips[0].gue_port = config::kDefaultGuePort;
  Apply(first, desired);
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(ChangesTest, AnotherPrefixOrRangeIsAnotherVip) {
  DesiredState desired = SampleServices();
  desired.vips[0].prefix = *net::IpPrefix::Parse("203.0.113.0/24");
  desired.vips[0].ports = {8000, 8999};
  const Registry first = Apply(empty_, desired);
  EXPECT_EQ(lines_.back(), "+ vip www: 203.0.113.0/24:8000-8999/tcp pool web mode l2");
  const VipId id = first.FindVip("www")->id;
  const auto id_after = [&](const auto& change) {
    DesiredState other = desired;
    change(other.vips[0]);
    return Apply(first, other).FindVip("www")->id;
  };
  EXPECT_EQ(id_after([](DesiredVip& vip) { vip.hash = config::HashInput::kClient; }), id);
  EXPECT_NE(id_after([](DesiredVip& vip) { vip.prefix.length = 25; }), id);
  EXPECT_NE(id_after([](DesiredVip& vip) { vip.ports.last = 9000; }), id);
  EXPECT_NE(id_after([](DesiredVip& vip) { vip.ports.first = 8001; }), id);
  EXPECT_NE(id_after([](DesiredVip& vip) { vip.protocol = Protocol::kUdp; }), id);
}

TEST_F(ChangesTest, EmptyDocumentRemovesEverything) {
  const Registry first = Apply(empty_, SampleServices());
  DesiredState nothing;
  nothing.seed = kSampleSeed;
  const Registry registry = Apply(first, nothing);
  EXPECT_THAT(lines_, ElementsAre("- backend web/web-1: active -> removed", "- backend web/web-2: active -> removed",
                                  "- pool web", "- vip www"));
  EXPECT_EQ(registry.backend_ids.used(), 0u);
  EXPECT_EQ(registry.backend_ids.quarantined(), 2u);
  EXPECT_EQ(registry.vip_ids.quarantined(), 1u);
}

TEST_F(ChangesTest, WhatStaysKeepsItsIdEvenUnderANewName) {
  const Registry first = Apply(empty_, SampleServices());
  DesiredState renamed = SampleServices();
  renamed.pools[0].backends[0].name = "zebra";
  renamed.vips[0].name = "shop";
  const Registry second = Apply(first, renamed);
  EXPECT_THAT(lines_, ElementsAre("~ backend web/zebra: name web-1 -> zebra", "~ vip shop: name www -> shop"));
  EXPECT_EQ(Backend(first, "web-1").id, Backend(second, "zebra").id);
  EXPECT_EQ(Backend(first, "web-1").generation, Backend(second, "zebra").generation);
  EXPECT_EQ(first.FindVip("www")->id, second.FindVip("shop")->id);
  EXPECT_EQ(first.FindVip("www")->id.value(), 0);
}

TEST_F(ChangesTest, AnotherAddressIsAnotherBackend) {
  const Registry first = Apply(empty_, SampleServices());
  DesiredState moved = SampleServices();
  moved.pools[0].backends[0].address = Ip("10.0.0.9");
  const Registry second = Apply(first, moved);
  EXPECT_NE(Backend(first, "web-1").id, Backend(second, "web-1").id);
}

TEST_F(ChangesTest, AnotherPortIsAnotherBackend) {
  DesiredState desired = SampleServices();
  desired.vips[0].mode = ForwardingMode::kNat;
  const Registry first = Apply(empty_, desired);
  desired.pools[0].backends[0].port = 8080;
  const Registry second = Apply(first, desired);
  EXPECT_NE(Backend(first, "web-1").id, Backend(second, "web-1").id);
  EXPECT_THAT(lines_, Contains("+ backend web/web-1: 10.0.0.1:8080 weight 100 active"));
  desired.pools[0].backends.push_back(desired.pools[0].backends[0]);
  desired.pools[0].backends[2].name = "web-1b";
  desired.pools[0].backends[2].port = 8081;
  const Registry third = Apply(second, desired);
  EXPECT_EQ(Backend(second, "web-1").id, Backend(third, "web-1").id) << "one address, two servers";
  EXPECT_NE(Backend(third, "web-1").id, Backend(third, "web-1b").id);
}

TEST_F(ChangesTest, OperatorsDrainSurvivesApplyUnlessTheDocumentSpeaks) {
  Registry registry = Apply(empty_, SampleServices());
  registry = Take(SetDrain(registry, "web", "web-1", true));
  EXPECT_THAT(lines_, ElementsAre("~ backend web/web-1: active -> draining"));
  EXPECT_FALSE(Backend(registry, "web-1").takes_new_flows());

  DesiredState desired = SampleServices();
  desired.pools[0].backends[0].weight = 50;
  registry = Apply(registry, desired);
  EXPECT_EQ(Backend(registry, "web-1").lifecycle, Lifecycle::kDraining);

  desired.pools[0].backends[0].drain = false;
  registry = Apply(registry, desired);
  EXPECT_THAT(lines_, ElementsAre("~ backend web/web-1: draining -> active"));
  // The operator's wish is gone for good, not only hidden.
  desired.pools[0].backends[0].drain.reset();
  registry = Apply(registry, desired);
  EXPECT_EQ(Backend(registry, "web-1").lifecycle, Lifecycle::kActive);
}

TEST_F(ChangesTest, DocumentsDrainEndsWithTheDocumentsWord) {
  DesiredState desired = SampleServices();
  desired.pools[0].backends[0].drain = true;
  Registry registry = Apply(empty_, desired);
  EXPECT_EQ(Backend(registry, "web-1").lifecycle, Lifecycle::kDraining);
  // An operator may end it until the document is applied again.
  const Registry undrained = Take(SetDrain(registry, "web", "web-1", false));
  EXPECT_EQ(Backend(undrained, "web-1").lifecycle, Lifecycle::kActive);
  EXPECT_EQ(Backend(Apply(undrained, desired), "web-1").lifecycle, Lifecycle::kDraining);

  registry = Apply(registry, SampleServices());
  EXPECT_EQ(Backend(registry, "web-1").lifecycle, Lifecycle::kActive);
}

TEST_F(ChangesTest, DrainingTwiceIsNoChange) {
  Registry registry = Apply(empty_, SampleServices());
  registry = Take(SetDrain(registry, "web", "web-1", true));
  Take(SetDrain(registry, "web", "web-1", true));
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(ChangesTest, RemovedBackendIsANewOneWhenItComesBack) {
  Registry registry = Apply(empty_, SampleServices());
  const BackendId before = Backend(registry, "web-1").id;
  registry = Take(SetDrain(registry, "web", "web-1", true));
  registry = Take(RemoveBackend(registry, "web", "web-1", {++generation_, facts_}));
  EXPECT_THAT(lines_, ElementsAre("- backend web/web-1: draining -> removed"));
  registry = Take(AddBackend(registry, "web", SampleBackend("web-1", "10.0.0.1"), {++generation_, facts_}));
  EXPECT_NE(Backend(registry, "web-1").id, before);
  EXPECT_EQ(Backend(registry, "web-1").lifecycle, Lifecycle::kActive);
}

TEST_F(ChangesTest, IdsAreReusedOnlyAfterTheSweepAndWithFreshCounters) {
  Registry registry = Apply(empty_, SampleServices());
  for (const char* name : {"web-3", "web-4"}) {
    const std::string address = std::string("10.0.0.") + name[4];
    registry = Take(AddBackend(registry, "web", SampleBackend(name, address), {++generation_, facts_}));
  }
  const BackendRecord removed = Backend(registry, "web-2");
  registry = Take(RemoveBackend(registry, "web", "web-2", {++generation_, facts_}));
  const uint64_t absent_since = generation_;

  facts_.swept = absent_since - 1;
  const auto refused = AddBackend(registry, "web", SampleBackend("web-5", "10.0.0.5"), {++generation_, facts_});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()),
              ::testing::AllOf(HasSubstr("backend \"web/web-5\""), HasSubstr("4 backends"), HasSubstr("try again")));

  facts_.swept = absent_since;
  facts_.backends[removed.id] = {.packets = 1000, .bytes = 64000, .flows_started = 10, .flows_alive = 0};
  registry = Take(AddBackend(registry, "web", SampleBackend("web-5", "10.0.0.5"), {++generation_, facts_}));
  const BackendRecord& reused = Backend(registry, "web-5");
  EXPECT_EQ(reused.id, removed.id);
  EXPECT_NE(reused.generation, removed.generation);
  facts_.backends[removed.id] = {.packets = 1003, .bytes = 64180, .flows_started = 11, .flows_alive = 1};
  EXPECT_EQ(facts_.CountsOf(reused.id) - reused.baseline,
            (BackendCounts{.packets = 3, .bytes = 180, .flows_started = 1, .flows_alive = 1}));
}

TEST_F(ChangesTest, VipIdsRestToo) {
  DesiredState desired = SampleServices();
  Registry registry = Apply(empty_, desired);
  for (uint16_t port = 81; port < 84; ++port) {
    desired.vips[0].ports = config::PortRange::Single(port);
    registry = Apply(registry, desired);
  }
  desired.vips[0].ports = config::PortRange::Single(84);
  const auto refused = ApplyDesired(registry, desired, {++generation_, facts_});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("VIP \"www\""));
  facts_.swept = generation_;
  facts_.vips[VipId(0)] = {.packets = 7, .bytes = 70, .new_flows = 2, .dropped = 1};
  registry = Apply(registry, desired);
  EXPECT_EQ(registry.FindVip("www")->id, VipId(0));
  EXPECT_EQ(facts_.CountsOf(VipId(0)) - registry.FindVip("www")->baseline, VipCounts());
}

TEST_F(ChangesTest, WithoutQuarantineTheRemedyIsToRemove) {
  DesiredState desired = SampleServices();
  for (int i = 3; i <= 5; ++i) {
    desired.pools[0].backends.push_back(SampleBackend("web-" + std::to_string(i), "10.0.0." + std::to_string(i)));
  }
  const auto refused = ApplyDesired(empty_, desired, {1, facts_});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("4 are in use; remove one first"));
}

TEST_F(ChangesTest, AddRefusesNamesAndAddressesThatAreTaken) {
  const Registry registry = Apply(empty_, SampleServices());
  const ChangeContext context{2, facts_};
  EXPECT_EQ(AddBackend(registry, "api", SampleBackend("a", "10.0.0.7"), context).status().code(),
            absl::StatusCode::kNotFound);
  const auto name = AddBackend(registry, "web", SampleBackend("web-1", "10.0.0.7"), context).status();
  EXPECT_EQ(name.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(name.message()), HasSubstr("web-1"));
  const auto address = AddBackend(registry, "web", SampleBackend("web-7", "10.0.0.1"), context).status();
  EXPECT_EQ(address.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(address.message()), HasSubstr("10.0.0.1"));
}

TEST_F(ChangesTest, UnknownNamesAreNotFound) {
  const Registry registry = Apply(empty_, SampleServices());
  EXPECT_EQ(RemoveBackend(registry, "web", "web-9", {2, facts_}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(SetDrain(registry, "wob", "web-1", true).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(SetDrain(registry, "web", "web-9", true).status().message()), HasSubstr("\"web-9\""));
}

TEST_F(ChangesTest, OnePoolsChangeSharesTheOthers) {
  DesiredState desired = SampleServices();
  DesiredPool api = desired.pools[0];
  api.name = "api";
  api.backends = {SampleBackend("api-1", "10.0.1.1")};
  desired.pools.push_back(api);
  const Registry first = Apply(empty_, desired);
  const Registry second = Take(SetDrain(first, "web", "web-1", true));
  EXPECT_EQ(first.pools[0], second.pools[0]);
  EXPECT_NE(first.pools[1], second.pools[1]);
  EXPECT_EQ(first.vips, second.vips);
  // The old registry is as it was.
  EXPECT_EQ(Backend(first, "web-1").lifecycle, Lifecycle::kActive);
}

}  // namespace
}  // namespace sluice::model
