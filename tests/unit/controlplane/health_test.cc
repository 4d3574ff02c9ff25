#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "controlplane/model/event_bus.h"
#include "controlplane/reconcile/health_feed.h"
#include "controlplane/store/memory_journal.h"
#include "tests/unit/controlplane/reconciler_fixture.h"

namespace sluice::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class HealthTest : public ReconcilerTest {
 protected:
  template <typename Condition>
  static void Await(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
};

TEST_F(HealthTest, ABackendThatIsDownGetsNoNewFlowsUntilItIsUp) {
  const auto down = Report("web-1", model::Health::kDown, "pulled the plug");
  ASSERT_TRUE(down.ok()) << down.status();
  EXPECT_THAT(down->changes, ElementsAre("~ backend web/web-1: unchecked -> down (pulled the plug)"));
  EXPECT_EQ(InfoOf("web-1").state, fwd::BackendState::kDown);
  EXPECT_THAT(Members(), ElementsAre("web-2"));
  // Health is no wish: documents do not change it, nor does a drain.
  ASSERT_TRUE(reconciler_.Apply(SampleServices()).ok());
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", true).ok());
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", false).ok());
  EXPECT_EQ(InfoOf("web-1").state, fwd::BackendState::kDown);
  ASSERT_TRUE(Report("web-1", model::Health::kUp).ok());
  EXPECT_EQ(InfoOf("web-1").state, fwd::BackendState::kActive);
  EXPECT_THAT(Members(), ElementsAre("web-1", "web-2"));
  EXPECT_THAT(Report("web-1", model::Health::kUp)->changes, IsEmpty());
  EXPECT_EQ(Report("web-9", model::Health::kUp).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(HealthTest, ChecksDoNotBringUpWhatIsReportedDown) {
  ASSERT_TRUE(reconciler_.SetHealth({Checked("web-1", model::Health::kUp)}).ok());
  ASSERT_TRUE(Report("web-1", model::Health::kDown).ok());
  const size_t states = dataplane_.states.size();
  ASSERT_TRUE(reconciler_.SetHealth({Checked("web-1", model::Health::kDown)}).ok());
  ASSERT_TRUE(reconciler_.SetHealth({Checked("web-1", model::Health::kUp)}).ok());
  EXPECT_THAT(Members(), ElementsAre("web-2"));
  EXPECT_EQ(dataplane_.states.size(), states) << "nothing changed for the workers";
  ASSERT_TRUE(Report("web-1", model::Health::kUnchecked).ok());
  EXPECT_THAT(Members(), ElementsAre("web-1", "web-2"));
}

TEST_F(HealthTest, HealthIsNoChangeOfTheDesiredState) {
  store::MemoryJournal journal;
  model::EventBus events;
  reconciler_.Attach(&journal, &events, nullptr);
  const uint64_t version = reconciler_.Current().version;
  const uint64_t generation = reconciler_.Current().generation;
  const auto outcome = reconciler_.SetHealth({Checked("web-1", model::Health::kDown)});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->version, version);
  EXPECT_EQ(reconciler_.Current().version, version);
  EXPECT_EQ(outcome->generation, generation + 1);
  EXPECT_THAT(journal.Entries(), IsEmpty());
  const auto told = events.ReadAfter(0, 10, std::chrono::milliseconds(0)).events;
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].kind, model::EventKind::kHealth);
  EXPECT_EQ(told[0].object, "backend web/web-1");
  EXPECT_EQ(told[0].version, 0u);
  // A refused state leaves nothing behind.
  dataplane_.next_publish = absl::ResourceExhaustedError("worker 1 is stuck");
  EXPECT_EQ(reconciler_.SetHealth({Checked("web-1", model::Health::kUp)}).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(InfoOf("web-1").state, fwd::BackendState::kDown);
  EXPECT_EQ(reconciler_.Current().registry->FindPool("web")->Find("web-1")->health.value(), model::Health::kDown);
}

TEST_F(HealthTest, ManyBackendsThatFlapAreFewStates) {
  const size_t before = dataplane_.states.size();
  {
    HealthFeed feed(reconciler_, std::chrono::milliseconds(1));
    // As long as a state is being published, what comes is gathered.
    auto hold = dataplane_.Hold();
    for (int i = 0; i < 1000; ++i) {
      for (const char* name : {"web-1", "web-2"}) {
        feed.Report(Checked(name, i % 2 == 0 ? model::Health::kDown : model::Health::kUp));
      }
    }
    feed.Report(Checked("web-1", model::Health::kDown));
    hold.unlock();
    Await([&] { return HealthOf("web-1") == model::Health::kDown && HealthOf("web-2") == model::Health::kUp; });
  }
  EXPECT_LE(dataplane_.states.size() - before, 3u);
  EXPECT_THAT(Members(), ElementsAre("web-2"));
}

TEST_F(HealthTest, WhatTheWorkersDoNotTakeComesAgain) {
  dataplane_.next_publish = absl::ResourceExhaustedError("worker 1 is stuck");
  HealthFeed feed(reconciler_, std::chrono::milliseconds(1));
  feed.Report(Checked("web-1", model::Health::kDown));
  Await([&] { return reconciler_.publish_stats().refused > 2; });
  EXPECT_EQ(HealthOf("web-1"), model::Health::kUnchecked);
  {
    const auto hold = dataplane_.Hold();
    dataplane_.next_publish = absl::OkStatus();
  }
  Await([&] { return HealthOf("web-1") == model::Health::kDown; });
}

TEST_F(HealthTest, HealthOfABackendThatIsGoneIsPassedOver) {
  model::HealthUpdate update = Checked("web-1", model::Health::kDown);
  ++update.generation;
  const auto outcome = reconciler_.SetHealth({update});
  ASSERT_TRUE(outcome.ok());
  EXPECT_THAT(outcome->changes, IsEmpty());
}

TEST_F(HealthTest, WhatAPoolSaysOfBackendsThatAreDownReachesTheWorkers) {
  config::ServiceConfig services = SampleServices();
  services.pools[0].policy = {.on_down = config::OnDown::kReset, .no_backend = config::NoBackend::kIcmp};
  const auto outcome = reconciler_.Apply(services);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_THAT(outcome->changes, ElementsAre("~ pool web: on_down keep -> reset, no_backend drop -> icmp"));
  EXPECT_EQ(InfoOf("web-1").on_down, fwd::OnDown::kReset);
  EXPECT_EQ((*dataplane_.newest().vips)[0].no_backend, fwd::Refusal::kUnreachable);
}

TEST_F(HealthTest, WhenTooFewAreUpAllAreUsed) {
  config::ServiceConfig services = SampleServices();
  services.pools[0].policy.panic_threshold_percent = 51;
  ASSERT_TRUE(reconciler_.Apply(services).ok());
  const auto panic = Report("web-1", model::Health::kDown);
  ASSERT_EQ(panic->alarms.size(), 1u);
  EXPECT_EQ(panic->alarms[0].object, "pool web");
  EXPECT_EQ(panic->alarms[0].message, "only 1 of 2 backends are up, fewer than 51 %: all of them are used (panic)");
  EXPECT_EQ(InfoOf("web-1").state, fwd::BackendState::kActive);
  EXPECT_THAT(Members(), ElementsAre("web-1", "web-2"));
  services.pools[0].policy.panic_threshold_percent = 50;
  ASSERT_TRUE(reconciler_.Apply(services).ok());
  EXPECT_THAT(Members(), ElementsAre("web-2"));
}

TEST_F(HealthTest, TheBackupIsUsedWhenNoneIsUp) {
  config::ServiceConfig services = SampleServices();
  config::PoolConfig spare = services.pools[0];
  spare.name = "spare";
  spare.backends = {SampleBackend("spare-1", "10.0.0.9")};
  services.pools.push_back(spare);
  services.pools[0].policy = {.backup = "spare", .panic_threshold_percent = 100};
  ASSERT_TRUE(reconciler_.Apply(services).ok());
  const PoolId web = reconciler_.Current().registry->FindPool("web")->id;
  const PoolId backup = reconciler_.Current().registry->FindPool("spare")->id;
  const auto scheduled = [&] { return (*dataplane_.newest().vips)[0].pool; };
  ASSERT_TRUE(Report("web-1", model::Health::kDown).ok());
  EXPECT_EQ(scheduled(), web);
  ASSERT_TRUE(Report("web-2", model::Health::kDown).ok());
  EXPECT_EQ(scheduled(), backup);
  // Nobody is left: no table is empty in a way that hurts, and the pool says so.
  const auto none = Report("spare-1", model::Health::kDown, "", "spare");
  ASSERT_TRUE(none.ok());
  ASSERT_EQ(none->alarms.size(), 2u);
  EXPECT_EQ(none->alarms[1].message, "no backend can be used: packets without one get no_backend drop");
  EXPECT_EQ(scheduled(), web);
  ASSERT_TRUE(Report("web-2", model::Health::kUp).ok());
  EXPECT_EQ(scheduled(), web);
}

}  // namespace
}  // namespace sluice::reconcile
