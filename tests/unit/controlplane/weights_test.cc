#include "controlplane/model/weights.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "controlplane/health/load_weights.h"
#include "tests/unit/controlplane/reconciler_fixture.h"

// Slow start and weights from reports of load, on a clock that the test turns.
namespace sluice::reconcile {
namespace {

using std::chrono::seconds;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class WeightsTest : public ::testing::Test {
 protected:
  WeightsTest() {
    services_.pools[0].table_size = 65537;
    services_.pools[0].policy = {.slow_start_s = 30, .slow_start_steps = 10, .weight_by_load = true};
    services_.pools[0].health_check = config::HealthCheckConfig{.type = config::CheckType::kHttp};
    EXPECT_TRUE(reconciler_.Apply(services_).ok());
  }

  const model::BackendRecord& RecordOf(std::string_view backend) {
    return **reconciler_.Current().registry->GetBackend("web", backend);
  }
  double ShareOf(std::string_view backend) {
    const model::Snapshot now = reconciler_.Current();
    return now.SlotsOf((*now.registry->GetBackend("web", backend))->id) / 65537.0;
  }
  uint32_t StartOf(std::string_view backend) { return RecordOf(backend).weight_use.start_percent; }
  void Health(std::string_view backend, model::Health health) {
    ASSERT_TRUE(reconciler_.ReportHealth("web", backend, health, "").ok());
  }
  void PassTo(int s) {
    now_ = model::SteadyTime(seconds(1000 + s));
    ASSERT_TRUE(reconciler_.AdvanceWeights({}).ok());
  }
  // Slots that changed hands since the state before.
  double Moved() {
    const auto& states = dataplane_.states;
    const auto& before = states[states.size() - 2]->pools[0]->slots;
    const auto& after = states.back()->pools[0]->slots;
    size_t moved = 0;
    for (size_t i = 0; i < after.size(); ++i) moved += before[i] == after[i] ? 0 : 1;
    return static_cast<double>(moved) / static_cast<double>(after.size());
  }

  config::ServiceConfig services_ = SampleServices();
  model::SteadyTime now_{seconds(1000)};
  FakeDataplane dataplane_;
  Reconciler reconciler_{kLimits, ValidateSample, dataplane_, dataplane_, {}, [this] { return now_; }};
};

TEST_F(WeightsTest, ABackendThatRecoversGetsItsShareInSteps) {
  EXPECT_NEAR(ShareOf("web-1"), 0.5, 0.01) << "a pool that is new as a whole is used at once";
  Health("web-1", model::Health::kDown);
  EXPECT_EQ(ShareOf("web-1"), 0);
  Health("web-1", model::Health::kUp);
  EXPECT_EQ(StartOf("web-1"), 9u);
  EXPECT_NEAR(ShareOf("web-1"), 9.0 / 109, 0.01) << "the state in which it is back is a small share already";
  const uint64_t version = reconciler_.Current().version;
  const size_t states = dataplane_.states.size();
  double most = 0;
  for (int s = 1; s <= 40; ++s) {
    const size_t before = dataplane_.states.size();
    PassTo(s);
    if (dataplane_.states.size() > before) most = std::max(most, Moved());
  }
  EXPECT_EQ(StartOf("web-1"), 100u);
  EXPECT_NEAR(ShareOf("web-1"), 0.5, 0.01);
  EXPECT_EQ(dataplane_.states.size(), states + 10) << "one state for each step, none without";
  EXPECT_LT(most, 0.12) << "of the slots in one step";
  EXPECT_EQ(reconciler_.Current().version, version) << "nobody wished for it";
}

TEST_F(WeightsTest, NewAndUndrainedBackendsStartSlowlyToo) {
  config::BackendConfig backend = SampleBackend("web-3", "10.0.0.3");
  ASSERT_TRUE(reconciler_.AddBackend("web", backend).ok());
  EXPECT_EQ(StartOf("web-3"), 9u);
  PassTo(15);
  EXPECT_EQ(StartOf("web-3"), 54u);
  // Another change leaves the start where it is.
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", true).ok());
  EXPECT_EQ(StartOf("web-3"), 54u);
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", false).ok());
  EXPECT_EQ(StartOf("web-1"), 9u);
  // Who fails while it starts begins anew.
  Health("web-3", model::Health::kDown);
  EXPECT_EQ(StartOf("web-3"), 100u);
  PassTo(20);
  Health("web-3", model::Health::kUp);
  EXPECT_EQ(StartOf("web-3"), 9u);
  // A pool that does not want it any more has none.
  services_.pools[0].policy.slow_start_s = 0;
  services_.pools[0].backends.push_back(backend);
  ASSERT_TRUE(reconciler_.Apply(services_).ok());
  EXPECT_EQ(StartOf("web-3"), 100u);
  EXPECT_NEAR(ShareOf("web-3"), 1.0 / 3, 0.01);
}

TEST_F(WeightsTest, WhereNobodyServesThereIsNoSlowStart) {
  Health("web-1", model::Health::kDown);
  Health("web-2", model::Health::kDown);
  Health("web-1", model::Health::kUp);
  EXPECT_EQ(StartOf("web-1"), 100u);
  Health("web-2", model::Health::kUp);
  EXPECT_EQ(StartOf("web-2"), 9u);
  // Weights of one are finer than that.
  for (config::BackendConfig& backend : services_.pools[0].backends) backend.weight = 1;
  ASSERT_TRUE(reconciler_.Apply(services_).ok());
  EXPECT_NEAR(ShareOf("web-2"), 9.0 / 109, 0.01);
}

TEST_F(WeightsTest, AStepThatTheWorkersDoNotTakeComesAgain) {
  Health("web-1", model::Health::kDown);
  Health("web-1", model::Health::kUp);
  dataplane_.next_publish = absl::ResourceExhaustedError("worker 1 is stuck");
  now_ += seconds(10);
  EXPECT_EQ(reconciler_.AdvanceWeights({}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(StartOf("web-1"), 9u);
  dataplane_.next_publish = absl::OkStatus();
  ASSERT_TRUE(reconciler_.AdvanceWeights({}).ok());
  EXPECT_EQ(StartOf("web-1"), 36u);
}

TEST_F(WeightsTest, ReportsOfLoadCountWhereThePoolWantsThem) {
  const auto load = [&](std::string_view backend, uint32_t percent) {
    return model::LoadPercent{RecordOf(backend).id, RecordOf(backend).generation, percent};
  };
  ASSERT_TRUE(reconciler_.AdvanceWeights({load("web-1", 50), load("web-2", 100)}).ok());
  EXPECT_NEAR(ShareOf("web-1"), 1.0 / 3, 0.01);
  const size_t states = dataplane_.states.size();
  model::LoadPercent of_another = load("web-1", 10);
  ++of_another.generation;
  ASSERT_TRUE(reconciler_.AdvanceWeights({of_another, load("web-2", 100)}).ok());
  EXPECT_EQ(dataplane_.states.size(), states);
  services_.pools[0].policy.weight_by_load = false;
  ASSERT_TRUE(reconciler_.Apply(services_).ok());
  EXPECT_NEAR(ShareOf("web-1"), 0.5, 0.01);
}

TEST(WeighByLoad, EvensOutServersOfUnequalStrengthAndRests) {
  // Twice the load on a server of half the strength.
  const std::vector<double> strength = {1, 1, 0.5, 1};
  std::vector<health::LoadReport> pool(strength.size());
  std::mt19937 random(1);
  std::uniform_real_distribution<double> noise(0.95, 1.05);
  std::vector<uint32_t> percents(strength.size(), 100);
  int changes = 0;
  for (int round = 0; round < 60; ++round) {
    double sum = 0;
    for (const uint32_t percent : percents) sum += percent;
    for (size_t i = 0; i < pool.size(); ++i) {
      pool[i] = {.load = noise(random) * 2.0 * percents[i] / sum / strength[i], .percent = percents[i]};
    }
    const std::vector<uint32_t> next = health::WeighByLoad(pool, 20);
    for (size_t i = 0; i < pool.size(); ++i) EXPECT_GE(next[i] * 1.3, percents[i]) << "in one round";
    changes += round >= 20 && next != percents ? 1 : 0;
    percents = next;
  }
  EXPECT_NEAR(percents[2], 55, 9);
  EXPECT_THAT((std::vector<uint32_t>{percents[0], percents[1], percents[3]}), Each(testing::Ge(95u)));
  EXPECT_LE(changes, 2) << "noise moves nothing";
}

TEST(WeighByLoad, StaysInItsBoundsAndForgets) {
  using health::LoadReport;
  EXPECT_THAT(health::WeighByLoad({}, 20), IsEmpty());
  std::vector<LoadReport> pool = {{.load = 5.0}, {.load = 0.1}, {}};
  for (int round = 0; round < 30; ++round) {
    const std::vector<uint32_t> percents = health::WeighByLoad(pool, 20);
    for (size_t i = 0; i < pool.size(); ++i) pool[i].percent = percents[i];
  }
  EXPECT_THAT(health::WeighByLoad(pool, 20), ElementsAre(20, 100, 100));
  // Nobody to compare with.
  pool[0].load.reset();
  std::vector<uint32_t> percents;
  for (int round = 0; round < 30; ++round) {
    percents = health::WeighByLoad(pool, 20);
    for (size_t i = 0; i < pool.size(); ++i) pool[i].percent = percents[i];
  }
  EXPECT_THAT(percents, ElementsAre(100, 100, 100));
  // Idle servers differ by noise alone.
  EXPECT_THAT(health::WeighByLoad(std::vector<LoadReport>{{.load = 0.001}, {.load = 0.004}}, 20),
              ElementsAre(100, 100));
}

}  // namespace
}  // namespace sluice::reconcile
