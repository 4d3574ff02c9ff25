#include "controlplane/reconcile/reconciler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/reconcile/impact.h"
#include "controlplane/store/memory_journal.h"
#include "tests/unit/controlplane/reconciler_fixture.h"

namespace sluice::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(ReconcilerTest, FirstApplyPublishesTheWholeState) {
  ASSERT_EQ(dataplane_.states.size(), 1u);
  const fwd::ForwardingState& state = dataplane_.newest();
  EXPECT_EQ(state.generation, 1u);
  EXPECT_THAT(Members(), ElementsAre("web-1", "web-2"));
  EXPECT_EQ(state.pools[0]->slots.size(), 251u);
  ASSERT_EQ(state.vip_table->vips().size(), 1u);
  EXPECT_EQ(state.vip_table->vips()[0].prefix, (net::IpPrefix{Ip("203.0.113.10"), 32}));
  EXPECT_EQ(state.vip_table->vips()[0].protocol, 6);
  EXPECT_EQ(InfoOf("web-1").state, fwd::BackendState::kActive);
  EXPECT_EQ(InfoOf("web-1").address, Ip("10.0.0.1"));
}

TEST_F(ReconcilerTest, EmptyDesiredStateIsPublishedOnceSoThatWorkersCanStart) {
  FakeDataplane dataplane;
  Reconciler reconciler(kLimits, ValidateSample, dataplane, dataplane);
  config::ServiceConfig empty;
  empty.seed = kSampleSeed;
  EXPECT_EQ(reconciler.Apply(empty)->generation, 1u);
  EXPECT_EQ(reconciler.Apply(empty)->generation, 1u);
  EXPECT_EQ(dataplane.states.size(), 1u);
}

TEST_F(ReconcilerTest, NothingDifferentPublishesNothing) {
  const auto outcome = reconciler_.Apply(SampleServices());
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->generation, 1u);
  EXPECT_THAT(outcome->changes, IsEmpty());
  EXPECT_EQ(dataplane_.states.size(), 1u);
}

TEST_F(ReconcilerTest, DrainTakesTheBackendFromTheTableAndKeepsItKnown) {
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", true).ok());
  EXPECT_THAT(Members(), ElementsAre("web-2"));
  EXPECT_EQ(InfoOf("web-1").state, fwd::BackendState::kDraining);
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", false).ok());
  EXPECT_THAT(Members(), ElementsAre("web-1", "web-2"));
  EXPECT_EQ(InfoOf("web-1").state, fwd::BackendState::kActive);
}

TEST_F(ReconcilerTest, WeightZeroTakesNoNewFlowsAndIsNotDraining) {
  config::ServiceConfig desired = SampleServices();
  desired.pools[0].backends[0].weight = 0;
  ASSERT_TRUE(reconciler_.Apply(desired).ok());
  EXPECT_THAT(Members(), ElementsAre("web-2"));
  EXPECT_EQ(InfoOf("web-1").state, fwd::BackendState::kActive);
}

TEST_F(ReconcilerTest, RemovedBackendIsAbsent) {
  const BackendId id = (*reconciler_.Current().registry->GetBackend("web", "web-2"))->id;
  ASSERT_TRUE(reconciler_.RemoveBackend("web", "web-2").ok());
  const auto& infos = *dataplane_.newest().backend_infos;
  EXPECT_TRUE(id.index() >= infos.size() || infos[id.index()].state == fwd::BackendState::kAbsent);
}

TEST_F(ReconcilerTest, RefusedPublishRollsEverythingBack) {
  const model::Snapshot before = reconciler_.Current();
  dataplane_.next_publish = absl::ResourceExhaustedError("worker 1 holds 16 states");
  config::ServiceConfig other = SampleServices();
  other.pools[0].backends.push_back(SampleBackend("web-3", "10.0.0.3"));
  other.vips[0].ports = config::PortRange::Single(81);
  for (const absl::Status& status :
       {reconciler_.Apply(other).status(), reconciler_.SetDrain("web", "web-1", true).status(),
        reconciler_.RemoveBackend("web", "web-1").status(),
        reconciler_.AddBackend("web", SampleBackend("web-3", "10.0.0.3")).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr("worker 1 holds 16 states"));
  }
  const model::Snapshot after = reconciler_.Current();
  EXPECT_EQ(after.registry, before.registry);
  EXPECT_EQ(after.generation, before.generation);
  EXPECT_EQ(after.slots, before.slots);
  EXPECT_EQ(reconciler_.publish_stats().refused, 4u);

  // Ids and generations go on as if nothing had been tried.
  dataplane_.next_publish = absl::OkStatus();
  ASSERT_TRUE(reconciler_.AddBackend("web", SampleBackend("web-3", "10.0.0.3")).ok());
  EXPECT_EQ(dataplane_.newest().generation, 2u);
  EXPECT_EQ((*reconciler_.Current().registry->GetBackend("web", "web-3"))->id, BackendId(2));
  EXPECT_EQ(LifecycleOf("web-1"), model::Lifecycle::kActive);
}

// A new backend is looked at together with what stands around it, which has to be as good as it is.
TEST_F(ReconcilerTest, ABackendIsAddedBesideAPoolWhoseWeightsGoByLoad) {
  config::ServiceConfig desired = SampleServices();
  config::PoolConfig& api = desired.pools.emplace_back(desired.pools[0]);
  api.name = "api";
  api.policy.weight_by_load = true;
  api.health_check.emplace().type = config::CheckType::kHttp;
  ASSERT_TRUE(reconciler_.Apply(desired).ok());
  const absl::Status status = reconciler_.AddBackend("web", SampleBackend("web-3", "10.0.0.3")).status();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(ReconcilerTest, InvalidChangesAreRefusedWithTheField) {
  config::ServiceConfig bad = SampleServices();
  bad.pools[0].backends[1].weight = 2000;
  bad.vips[0].pool = "api";
  const absl::Status status = reconciler_.Apply(bad).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("services.pools[0].backends[1].weight: "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("services.vips[0].pool: "));
  EXPECT_EQ(dataplane_.states.size(), 1u);

  const absl::Status added = reconciler_.AddBackend("web", SampleBackend("web-3", "10.0.0.3", 2000)).status();
  EXPECT_EQ(added.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(added.message()), ::testing::StartsWith("backend.weight: "));
}

TEST_F(ReconcilerTest, AddedBackendMustFitTheVipsOfItsPool) {
  const absl::Status status = reconciler_.AddBackend("web", SampleBackend("web-3", "2001:db8::3")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("2001:db8::3"));
  // Paths into the desired state mean nothing to who adds one backend.
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("services.")));
}

TEST_F(ReconcilerTest, AddedBackendMustNotBeInAnyVipsPrefix) {
  config::ServiceConfig services = SampleServices();
  services.pools.push_back({"api", 251, {SampleBackend("api-1", "10.0.1.1")}});
  services.vips.push_back(SampleVip("api", "198.51.100.0/24", 80, "api"));
  ASSERT_TRUE(reconciler_.Apply(services).ok());
  const absl::Status status = reconciler_.AddBackend("web", SampleBackend("web-3", "198.51.100.7")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              ::testing::StartsWith("backend.address: backend \"web-3\" has the address 198.51.100.7, which is one of "
                                    "VIP \"api\"'s prefix 198.51.100.0/24"));
  EXPECT_TRUE(reconciler_.AddBackend("web", SampleBackend("web-3", "198.51.101.7")).ok());
}

TEST_F(ReconcilerTest, EverythingAVipSaysReachesTheWorkers) {
  const lb::FlowTimeouts node = {
      .tcp_syn_s = 1, .tcp_established_s = 2, .tcp_closing_s = 3, .tcp_reset_s = 4, .udp_s = 5};
  FakeDataplane dataplane;
  Reconciler reconciler(kLimits, ValidateSample, dataplane, dataplane, {.timeouts = node, .tier_id = 3});
  config::ServiceConfig services = SampleServices();
  const auto entry = [&]() -> const fwd::VipEntry& {
    EXPECT_TRUE(reconciler.Apply(services).ok());
    return (*dataplane.newest().vips)[(*reconciler.Current().registry->FindVip("www")).id.index()];
  };
  const auto vip = [&]() -> const lb::VipTable::Vip& { return dataplane.newest().vip_table->vips()[0]; };
  EXPECT_EQ(entry().timeouts, node);
  EXPECT_EQ(entry().mode, fwd::ForwardingMode::kL2);
  EXPECT_EQ(entry().hash_input, fwd::HashInput::kTuple);
  EXPECT_TRUE(entry().tracked);
  EXPECT_FALSE(entry().is_prefix);
  EXPECT_EQ(entry().gue_port, 0);
  EXPECT_TRUE(vip().answers_echo);

  config::VipConfig& desired = services.vips[0];
  desired.timeouts = {11, 12, std::nullopt, 14, 15};
  EXPECT_EQ(entry().timeouts, (lb::FlowTimeouts{11, 12, 3, 14, 15}));
  desired.mode = config::ForwardingMode::kIpip;
  EXPECT_EQ(entry().mode, fwd::ForwardingMode::kIpip);
  desired.mode = config::ForwardingMode::kGre;
  EXPECT_EQ(entry().mode, fwd::ForwardingMode::kGre);
  desired.mode = config::ForwardingMode::kGue;
  EXPECT_EQ(entry().mode, fwd::ForwardingMode::kGue);
  EXPECT_EQ(entry().gue_port, 6080);
  desired.mode = config::ForwardingMode::kGueDirect;
  desired.gue_port = 6081;
  EXPECT_EQ(entry().mode, fwd::ForwardingMode::kGueDirect);
  EXPECT_EQ(entry().gue_port, 6081);
  desired.gue_port.reset();
  desired.mode = config::ForwardingMode::kFullNat;
  EXPECT_EQ(entry().mode, fwd::ForwardingMode::kFullNat);
  EXPECT_FALSE(entry().proxy_protocol);
  EXPECT_TRUE(entry().clamp_mss);
  desired.proxy_protocol = config::ProxyProtocol::kV2;
  desired.clamp_mss = false;
  EXPECT_TRUE(entry().proxy_protocol);
  EXPECT_FALSE(entry().clamp_mss);
  desired.proxy_protocol = config::ProxyProtocol::kNone;
  desired.mode = config::ForwardingMode::kNat;
  services.pools[0].backends[0].port = 8080;
  EXPECT_EQ(entry().mode, fwd::ForwardingMode::kNat);
  const BackendId mapped = (*reconciler.Current().registry->GetBackend("web", "web-1"))->id;
  EXPECT_EQ((*dataplane.newest().backend_infos)[mapped.index()].nat_port, 8080);
  EXPECT_EQ(dataplane.newest().returns->LookupV4(Ip("10.0.0.1").v4(), 6, Be16::FromHost(8080)).count, 1);
  EXPECT_EQ(dataplane.newest().returns->LookupV4(Ip("10.0.0.2").v4(), 6, Be16::FromHost(80)).count, 1);
  services.pools[0].backends[0].port.reset();
  desired.hash = config::HashInput::kClient;
  EXPECT_EQ(entry().hash_input, fwd::HashInput::kClient);
  desired.hash = config::HashInput::kClientPort;
  EXPECT_EQ(entry().hash_input, fwd::HashInput::kClientPort);
  desired.tracking = config::ConnectionTracking::kOff;
  EXPECT_FALSE(entry().tracked);
  desired.tracking = config::ConnectionTracking::kUnsafe;
  desired.mode = config::ForwardingMode::kIpip;
  EXPECT_TRUE(entry().tracked);
  EXPECT_TRUE(entry().unsafe_only);
  EXPECT_EQ(dataplane.newest().pools[0]->homes.size(), dataplane.newest().pools[0]->slots.size());
  desired.mode = config::ForwardingMode::kGue;
  desired.second_chance = true;
  desired.hash = config::HashInput::kTuple;
  EXPECT_TRUE(entry().second_chance);
  EXPECT_EQ(dataplane.newest().pools[0]->previous.size(), dataplane.newest().pools[0]->slots.size());
  desired.answer_echo = false;
  EXPECT_TRUE(reconciler.Apply(services).ok());
  EXPECT_FALSE(vip().answers_echo);
  desired.prefix = *net::IpPrefix::Parse("203.0.113.0/24");
  desired.ports = {8000, 8999};
  EXPECT_TRUE(entry().is_prefix);
  EXPECT_EQ(vip().prefix, desired.prefix);
  EXPECT_EQ(vip().first_port, 8000);
  EXPECT_EQ(vip().last_port, 8999);
  desired.ports = config::PortRange::All();
  EXPECT_TRUE(reconciler.Apply(services).ok());
  EXPECT_EQ(vip().first_port, 0);
  EXPECT_EQ(vip().last_port, 65535);
  services.cookie_keys.push_back({0, "000102030405060708090a0b0c0d0e0f"});
  desired.cookies = config::Cookies::kBackend;
  EXPECT_EQ(entry().tier_id, 0) << "there is no room for it";
  desired.cookie.emplace().tier_bits = 2;
  EXPECT_EQ(entry().tier_id, 3);
  EXPECT_FALSE(entry().first_tier);
  desired.cookie->tier = 1;
  desired.second_chance = false;
  desired.mode = config::ForwardingMode::kL2;
  EXPECT_TRUE(entry().first_tier);
}

TEST_F(ReconcilerTest, SlotsAreCountedForChangedAndForSharedPools) {
  config::ServiceConfig services = SampleServices();
  config::PoolConfig api = services.pools[0];
  api.name = "api";
  api.backends = {SampleBackend("api-1", "10.0.1.1"), SampleBackend("api-2", "10.0.1.2", 300)};
  services.pools.push_back(api);
  ASSERT_TRUE(reconciler_.Apply(services).ok());
  for (int round = 0; round < 2; ++round) {
    const model::Snapshot now = reconciler_.Current();
    for (const auto& pool : now.registry->pools) {
      double sum = 0;
      for (const model::BackendRecord& backend : pool->backends) sum += now.SlotShare(*pool, backend);
      EXPECT_DOUBLE_EQ(sum, 1.0) << pool->name;
    }
    const model::PoolRecord& now_api = *now.registry->FindPool("api");
    EXPECT_NEAR(now.SlotShare(now_api, now_api.backends[1]), 0.75, 0.02);
    // "api" is shared with the next state.
    ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", true).ok());
  }
}

TEST_F(ReconcilerTest, ConcurrentChangesAreAllDoneAndEachPublishedOnce) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this, i] {
      const std::string name = "extra-" + std::to_string(i);
      EXPECT_TRUE(reconciler_.AddBackend("web", SampleBackend(name, "10.0.2." + std::to_string(i + 1))).ok());
      EXPECT_TRUE(reconciler_.SetDrain("web", name, true).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(dataplane_.states.size(), 1u + 2 * kThreads);  // those that came together are one
  EXPECT_EQ(reconciler_.Current().version, 1u + 2 * kThreads);
  std::set<BackendId> ids;
  for (const auto& backend : reconciler_.Current().registry->pools[0]->backends) ids.insert(backend.id);
  EXPECT_EQ(ids.size(), 2u + kThreads);
  for (size_t i = 0; i < dataplane_.states.size(); ++i) EXPECT_EQ(dataplane_.states[i]->generation, i + 1);
}

// A journal that says what it is told.
class JournalOfBursts final : public store::MemoryJournal {
 public:
  absl::Status Record(const std::vector<model::RecordedChange>& changes) override {
    if (changes.size() > 1) {
      if (absl::Status status = before_burst(); !status.ok()) return status;
    }
    bursts.push_back(changes.size());
    ++calls;
    return MemoryJournal::Record(changes);
  }
  std::function<absl::Status()> before_burst = [] { return absl::OkStatus(); };
  std::vector<size_t> bursts;  // how many changes came with each call
  std::atomic<size_t> calls = 0;
};

class BurstTest : public ReconcilerTest {
 protected:
  static constexpr size_t kWaiting = 8;

  BurstTest() { reconciler_.Attach(&journal_, nullptr, nullptr); }
  ~BurstTest() override {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  // `calls` come while the state of a change before them is being published; what each was answered.
  std::vector<absl::StatusOr<Outcome>> Burst(const std::vector<std::function<absl::StatusOr<Outcome>()>>& calls) {
    std::vector<absl::StatusOr<Outcome>> answers(calls.size(), absl::UnknownError(""));
    {
      const auto hold = dataplane_.Hold();
      threads_.emplace_back([this] { EXPECT_TRUE(reconciler_.SetDrain("web", "web-2", true).ok()); });
      while (journal_.calls == 0) std::this_thread::yield();  // it stands before the workers' door
      for (size_t i = 0; i < calls.size(); ++i) {
        threads_.emplace_back([&, i] { answers[i] = calls[i](); });
        while (reconciler_.waiting() <= i) std::this_thread::yield();
      }
    }
    for (std::thread& thread : threads_) thread.join();
    return answers;
  }
  std::function<absl::StatusOr<Outcome>()> Adding(size_t i) {
    return [this, i] {
      const std::string number = std::to_string(i);
      return reconciler_.AddBackend("web", SampleBackend("new-" + number, "10.0.1.1" + number),
                                    {.author = {"client-" + number, "AddBackend"}});
    };
  }

  JournalOfBursts journal_;
  std::vector<std::thread> threads_;
};

TEST_F(BurstTest, ChangesThatWaitBecomeOneStateAndKeepTheirOwnHistory) {
  std::vector<std::function<absl::StatusOr<Outcome>()>> calls;
  for (size_t i = 0; i < kWaiting; ++i) calls.push_back(Adding(i));
  const auto answers = Burst(calls);
  EXPECT_EQ(dataplane_.states.size(), 3u) << "the first, that of the drain, and one for all that waited";
  EXPECT_THAT(journal_.bursts, ElementsAre(1u, kWaiting)) << "kept before it is answered, and together";
  const std::vector<model::ChangeEntry> entries = journal_.Entries();  // the newest first
  ASSERT_EQ(entries.size(), 1 + kWaiting);
  for (size_t i = 0; i < kWaiting; ++i) {
    ASSERT_TRUE(answers[i].ok()) << answers[i].status();
    EXPECT_EQ(answers[i]->version, 3 + i);
    EXPECT_EQ(answers[i]->generation, 3u);
    ASSERT_EQ(answers[i]->changes.size(), 1u);
    EXPECT_THAT(answers[i]->changes[0], HasSubstr("web/new-" + std::to_string(i)));
    const model::ChangeEntry& entry = entries[kWaiting - 1 - i];
    EXPECT_EQ(entry.version, answers[i]->version);
    EXPECT_EQ(entry.author.user, "client-" + std::to_string(i));
    EXPECT_EQ(entry.lines, answers[i]->changes);
    EXPECT_EQ(journal_.StateAt(entry.version)->desired.pools[0].backends.size(), 3 + i);
  }
}

TEST_F(BurstTest, EachIsJudgedByWhatThoseBeforeItDid) {
  const auto answers = Burst({
      Adding(0),
      Adding(0),  // there is one now
      [this] { return reconciler_.RemoveBackend("web", "new-0"); },
      [this] { return reconciler_.SetDrain("web", "nope", true); },
      [this] { return reconciler_.SetDrain("web", "web-1", true, {.author = {}, .expected_version = 2}); },
      [this] { return reconciler_.SetDrain("web", "web-1", true, {.author = {}, .expected_version = 4}); },
  });
  EXPECT_TRUE(answers[0].ok());
  EXPECT_EQ(answers[1].status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(answers[2].ok());
  EXPECT_EQ(answers[3].status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(answers[4].status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(answers[5].ok()) << answers[5].status();
  EXPECT_EQ(reconciler_.Current().version, 5u);
  EXPECT_EQ(LifecycleOf("web-1"), model::Lifecycle::kDraining);
  EXPECT_EQ(dataplane_.states.size(), 3u);
}

TEST_F(BurstTest, WhatCannotBeKeptIsRefusedToAllOfThem) {
  journal_.before_burst = [] { return absl::InternalError("disk full"); };
  for (const auto& answer : Burst({Adding(0), Adding(1)})) {
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(answer.status().message(), HasSubstr("disk full"));
  }
  EXPECT_EQ(reconciler_.Current().version, 2u);
  EXPECT_EQ(dataplane_.states.size(), 2u);
  EXPECT_TRUE(Adding(0)().ok());
}

TEST(EstimateBytes, CountsWhatAPoolsVipsNeedBesideItsTable) {
  constexpr uint64_t kSlots = 1009;
  fwd::StateSpec spec;
  spec.pools = {{.id = PoolId(1), .table_size = kSlots, .members = {}}};
  spec.vips.resize(1);
  spec.vips[0].entry.pool = PoolId(1);
  const uint64_t plain = EstimateBytes(spec, nullptr);
  spec.vips[0].entry.unsafe_only = true;
  EXPECT_EQ(EstimateBytes(spec, nullptr), plain + 5 * kSlots) << "homes, and the table they are made from";
  spec.vips[0].entry.second_chance = true;
  EXPECT_EQ(EstimateBytes(spec, nullptr), plain + 9 * kSlots) << "previous owners and heirs";

  // The table itself stays.
  const uint64_t records = plain - 4 * kSlots;
  const auto table = std::make_shared<fwd::PoolTable>();
  table->table_size = kSlots;
  fwd::ForwardingState before;
  before.pools = {nullptr, table};
  EXPECT_EQ(EstimateBytes(spec, &before), records + 9 * kSlots) << "a VIP that has these from now on";
  table->homes.resize(kSlots);
  EXPECT_EQ(EstimateBytes(spec, &before), records + 4 * kSlots) << "it has homes already";
  table->heirs.resize(kSlots);
  EXPECT_EQ(EstimateBytes(spec, &before), records) << "it has all";
}

TEST_F(BurstTest, WhatTheWorkersDoNotTakeIsNotInTheHistory) {
  journal_.before_burst = [this] {
    dataplane_.next_publish = absl::ResourceExhaustedError("worker 1 makes no progress");
    return absl::OkStatus();
  };
  for (const auto& answer : Burst({Adding(0), Adding(1)})) {
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(journal_.Entries().size(), 1u) << "that of the drain";
  EXPECT_EQ(reconciler_.Current().version, 2u);
  dataplane_.next_publish = absl::OkStatus();
  EXPECT_EQ(Adding(0)()->version, 3u);
}

TEST_F(BurstTest, OneThatNoStateCanBeMadeOfDoesNotSpoilTheOthers) {
  reconciler_.Attach(&journal_, nullptr, [] { return uint64_t{1} << 20; });
  config::ServiceConfig large = SampleServices();
  large.pools[0].table_size = 1000003;
  const auto answers = Burst({Adding(0), [&] { return reconciler_.Apply(large); }, Adding(1)});
  EXPECT_TRUE(answers[0].ok()) << answers[0].status();
  EXPECT_EQ(answers[1].status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(answers[2].ok()) << answers[2].status();
  EXPECT_NE(reconciler_.Current().registry->FindPool("web")->Find("new-1"), nullptr);
}

}  // namespace
}  // namespace sluice::reconcile
