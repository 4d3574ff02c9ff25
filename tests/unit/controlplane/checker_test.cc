#include "controlplane/health/checker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sluice::health {
namespace {

using model::Health;
using std::chrono::milliseconds;
using Kind = ProbeResult::Kind;

// Servers that answer, fail or say nothing, by their port.
class FakeProber final : public Prober {
 public:
  enum class Server : uint8_t { kUp, kRefuses, kSilent, kUnreachable };

  void Start(ProbeId id, const CheckSpec& spec) override {
    starts.emplace_back(*now, spec.target.port);
    running[id] = spec.target.port;
    const Server server = servers[spec.target.port];
    if (server == Server::kSilent || waits) return;
    Finish(id, server);
  }
  std::string Cancel(ProbeId id) override {
    EXPECT_EQ(running.erase(id), 1u);
    return "connect to it";
  }
  void Finish(ProbeId id, Server server) {
    running.erase(id);
    if (server == Server::kUp) sink->Done(id, {Kind::kPassed, "accepted"});
    if (server == Server::kRefuses) sink->Done(id, {Kind::kFailed, "refused"});
    if (server == Server::kUnreachable) sink->Done(id, {Kind::kNotMade, "no route"});
  }
  size_t StartsOf(uint16_t port) const {
    return static_cast<size_t>(
        std::count_if(starts.begin(), starts.end(), [port](const auto& start) { return start.second == port; }));
  }

  const Time* now = nullptr;
  ProbeSink* sink = nullptr;
  bool waits = false;
  std::map<uint16_t, Server> servers;
  std::map<ProbeId, uint16_t> running;
  std::vector<std::pair<Time, uint16_t>> starts;
};

class FakeSink final : public model::HealthSink {
 public:
  void Report(model::HealthUpdate update) override { updates.push_back(std::move(update)); }
  // "7 down: refused, 7 up: accepted"
  std::string Take() {
    std::string text;
    for (const model::HealthUpdate& update : std::exchange(updates, {})) {
      text += (text.empty() ? "" : ", ") + std::to_string(update.backend.value()) + " " +
              std::string(model::HealthName(update.health)) + ": " + update.reason;
    }
    return text;
  }
  std::vector<model::HealthUpdate> updates;
};

using Server = FakeProber::Server;

class CheckerTest : public testing::Test {
 protected:
  CheckerTest()
      : checker_(
            1, [this] { return now_; }, prober_, sink_) {
    prober_.now = &now_;
    prober_.sink = &checker_;
    config_.interval_ms = 2000;
    config_.timeout_ms = 1000;
    config_.fast_interval_ms = 500;
    config_.rise = 2;
    config_.fall = 3;
  }

  Wish WishFor(uint16_t backend, uint16_t port) const {
    Wish wish;
    wish.subscriber = {BackendId(backend), 1};
    wish.spec.config = config_;
    wish.spec.target.port = port;
    return wish;
  }
  void RunFor(milliseconds time) {
    const Time end = now_ + time;
    while (true) {
      const auto due = checker_.next_due();
      if (!due || *due > end) break;
      now_ = std::max(now_, *due);
      checker_.Advance();
    }
    now_ = end;
  }
  model::CheckStatus StatusOf(uint16_t backend) const { return *checker_.StatusOf(BackendId(backend)); }

  Time now_{std::chrono::hours(1)};
  FakeProber prober_;
  FakeSink sink_;
  config::HealthCheckConfig config_;
  Checker checker_;
};

TEST_F(CheckerTest, IsUpAfterTheFirstPassedCheckAndDownAfterFallFailedOnes) {
  checker_.Configure({WishFor(7, 80)});
  RunFor(milliseconds(100));
  EXPECT_EQ(sink_.Take(), "7 up: accepted");
  RunFor(milliseconds(10'000));
  EXPECT_EQ(sink_.Take(), "");
  const size_t steady = prober_.StartsOf(80);
  EXPECT_GE(steady, 5u);
  EXPECT_LE(steady, 7u);

  prober_.servers[80] = Server::kRefuses;
  // One interval, and two fast ones, with the jitter of all.
  RunFor(milliseconds(2200 + 2 * 550));
  EXPECT_EQ(sink_.Take(), "7 down: refused");
  EXPECT_EQ(StatusOf(7).health, Health::kDown);
  EXPECT_EQ(StatusOf(7).transitions, 2u);

  prober_.servers[80] = Server::kUp;
  RunFor(milliseconds(2200 + 550));
  EXPECT_EQ(sink_.Take(), "7 up: accepted");
}

TEST_F(CheckerTest, ABackendThatWasNeverUpIsDownOnlyAfterFallFailedChecks) {
  prober_.servers[80] = Server::kRefuses;
  checker_.Configure({WishFor(7, 80)});
  RunFor(milliseconds(10));
  EXPECT_EQ(prober_.StartsOf(80), 1u);
  EXPECT_EQ(sink_.Take(), "");
  RunFor(milliseconds(2 * 550));
  EXPECT_EQ(sink_.Take(), "7 down: refused");
}

TEST_F(CheckerTest, OneFailureInBetweenIsForgotten) {
  checker_.Configure({WishFor(7, 80)});
  RunFor(milliseconds(100));
  sink_.Take();
  for (int i = 0; i < 20; ++i) {
    prober_.servers[80] = i % 3 == 2 ? Server::kUp : Server::kRefuses;
    const size_t before = prober_.starts.size();
    while (prober_.starts.size() == before) RunFor(milliseconds(50));
  }
  EXPECT_EQ(sink_.Take(), "");
}

TEST_F(CheckerTest, WhatTakesTooLongIsCancelledAndFails) {
  config_.fall = 1;
  prober_.servers[80] = Server::kSilent;
  checker_.Configure({WishFor(7, 80)});
  RunFor(milliseconds(500));
  EXPECT_EQ(prober_.running.size(), 1u);
  EXPECT_EQ(sink_.Take(), "");
  RunFor(milliseconds(600));
  EXPECT_EQ(sink_.Take(), "7 down: connect to it: nothing within 1000 ms");
  // The answer of a probe that was given up does not count.
  prober_.sink->Done((uint64_t{1} << 32) | 1, {Kind::kPassed, "late"});
  EXPECT_EQ(StatusOf(7).passed, 0u);
}

// A virtual machine that was paused, or a machine without time: all backends at once would be found down.
TEST_F(CheckerTest, ADirectorThatStoodStillBlamesNobody) {
  config_.fall = 1;
  checker_.Configure({WishFor(7, 80)});
  RunFor(milliseconds(100));
  sink_.Take();
  prober_.waits = true;
  RunFor(milliseconds(2300));
  ASSERT_EQ(prober_.running.size(), 1u);
  now_ += milliseconds(5000);
  checker_.Advance();
  EXPECT_EQ(sink_.Take(), "");
  EXPECT_EQ(StatusOf(7).health, Health::kUp);
  EXPECT_EQ(StatusOf(7).failed, 0u);
  EXPECT_EQ(StatusOf(7).not_made, 1u);
  EXPECT_NE(StatusOf(7).reason.find("this director was late by"), std::string::npos);
  // From then on it looks in time, and silence is silence.
  RunFor(milliseconds(4000));
  EXPECT_EQ(sink_.Take(), "7 down: connect to it: nothing within 1000 ms");
}

TEST_F(CheckerTest, AProbeThatCouldNotBeMadeSaysNothing) {
  checker_.Configure({WishFor(7, 80)});
  RunFor(milliseconds(100));
  sink_.Take();
  prober_.servers[80] = Server::kUnreachable;
  RunFor(milliseconds(30'000));
  EXPECT_EQ(sink_.Take(), "");
  EXPECT_EQ(StatusOf(7).health, Health::kUp);
  EXPECT_EQ(StatusOf(7).reason, "no route");
  EXPECT_GE(StatusOf(7).not_made, 10u);
}

TEST_F(CheckerTest, PoolsShareTheCheckOfOneServer) {
  checker_.Configure({WishFor(1, 80), WishFor(2, 80), WishFor(3, 81)});
  EXPECT_EQ(checker_.check_count(), 2u);
  RunFor(milliseconds(100));
  EXPECT_EQ(prober_.StartsOf(80), 1u);
  EXPECT_EQ(sink_.updates.size(), 3u);
  sink_.Take();
  // One that joins is told at once.
  checker_.Configure({WishFor(1, 80), WishFor(2, 80), WishFor(3, 81), WishFor(4, 80)});
  EXPECT_EQ(sink_.Take(), "4 up: accepted");
}

TEST_F(CheckerTest, AnotherConfigurationKeepsWhatIsKnown) {
  prober_.servers[80] = Server::kRefuses;
  checker_.Configure({WishFor(7, 80), WishFor(8, 81)});
  RunFor(milliseconds(3000));
  sink_.Take();
  const uint64_t failed = StatusOf(7).failed;
  config_.interval_ms = 1000;
  checker_.Configure({WishFor(7, 80), WishFor(8, 81)});
  EXPECT_EQ(StatusOf(7).health, Health::kDown);
  EXPECT_EQ(StatusOf(7).failed, failed);
  EXPECT_EQ(StatusOf(8).health, Health::kUp);
  // A server that came up before the change still needs its rise.
  prober_.servers[80] = Server::kUp;
  sink_.Take();
  RunFor(milliseconds(20));
  EXPECT_EQ(sink_.Take(), "");
  RunFor(milliseconds(1000));
  EXPECT_EQ(sink_.Take(), "7 up: accepted");
}

TEST_F(CheckerTest, WhatIsNotCheckedAnyMoreIsUnchecked) {
  prober_.servers[80] = Server::kRefuses;
  checker_.Configure({WishFor(7, 80), WishFor(8, 81)});
  RunFor(milliseconds(3000));
  sink_.Take();
  checker_.Configure({WishFor(8, 81)});
  EXPECT_EQ(sink_.Take(), "7 unchecked: not checked any more");
  EXPECT_FALSE(checker_.StatusOf(BackendId(7)).has_value());
  prober_.waits = true;
  RunFor(milliseconds(2200));
  EXPECT_EQ(checker_.running_count(), 1u);
  checker_.Configure({});
  EXPECT_EQ(checker_.running_count(), 0u);
  EXPECT_TRUE(prober_.running.empty());
}

TEST_F(CheckerTest, AnIdThatIsUsedAgainIsToldAgain) {
  checker_.Configure({WishFor(7, 80)});
  RunFor(milliseconds(100));
  sink_.Take();
  Wish again = WishFor(7, 80);
  again.subscriber.generation = 2;
  checker_.Configure({again});
  ASSERT_EQ(sink_.updates.size(), 1u);
  EXPECT_EQ(sink_.updates[0].generation, 2);
}

TEST_F(CheckerTest, ManyChecksAreSpreadOverTheirInterval) {
  std::vector<Wish> wishes;
  for (uint16_t i = 0; i < 10'000; ++i) wishes.push_back(WishFor(i, static_cast<uint16_t>(1000 + i)));
  checker_.Configure(wishes);
  const Time start = now_;
  RunFor(milliseconds(20'000));
  std::map<int64_t, size_t> by_10_ms;
  for (const auto& [at, port] : prober_.starts) ++by_10_ms[(at - start) / milliseconds(10)];
  size_t most = 0;
  for (const auto& [slot, count] : by_10_ms) most = std::max(most, count);
  // 50 on average.
  EXPECT_LE(most, 100u);
  EXPECT_GE(by_10_ms.size(), 1990u);
}

TEST_F(CheckerTest, TheSameSeedGivesTheSameTimes) {
  const auto times_with = [](uint64_t seed) {
    Time now{};
    FakeProber prober;
    FakeSink sink;
    Checker checker(
        seed, [&] { return now; }, prober, sink);
    prober.now = &now;
    prober.sink = &checker;
    Wish wish;
    wish.subscriber.backend = BackendId(1);
    checker.Configure({wish});
    for (int i = 0; i < 10; ++i) {
      now = *checker.next_due();
      checker.Advance();
    }
    return prober.starts;
  };
  EXPECT_EQ(times_with(1), times_with(1));
  EXPECT_NE(times_with(1), times_with(2));
}

}  // namespace
}  // namespace sluice::health
