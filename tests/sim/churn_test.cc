// Thousands of connections live through random additions, removals, drains, undrains and reweightings of backends, and
// through reuse of ids. After every step the checkers ask invariant 1: no connection changed its backend while that
// backend was up or draining. Every failure prints the seed that repeats it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <vector>

#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"
#include "tools/sim/director.h"

namespace sluice::sim {
namespace {

constexpr lb::FlowTimeouts kTimeouts{
    .tcp_syn_s = 30, .tcp_established_s = 600, .tcp_closing_s = 5, .tcp_reset_s = 5, .udp_s = 60};

class Churn {
 public:
  Churn(uint32_t seed, bool unsafe_only) : unsafe_only_(unsafe_only), random_(seed), director_(3, 20000) {
    pool_ = fixture_.AddPool(4099);
    vip_ = fixture_.AddVip("203.0.113.10", net::kProtocolTcp, 80, pool_);
    fixture_.Vip(vip_).entry.timeouts = kTimeouts;
    fixture_.Vip(vip_).entry.unsafe_only = unsafe_only;
    for (int i = 0; i < 20; ++i) AddBackend();
    director_.TakeUp(fixture_.Build());
  }

  void Run(int steps) {
    for (int step = 0; step < steps; ++step) {
      now_s_ += 1;
      // Now and then nothing changes for so long that homes are due.
      if (unsafe_only_ && step % 60 > 45) {
        if (step % 60 == 46) Wait();
      } else {
        Change();
      }
      fixture_.spec().now_s = now_s_;
      director_.TakeUp(fixture_.Build());
      if (step % 10 == 9) director_.Sweep(now_s_);
      Open(40);
      Close(30);
      CheckConsistency(step);
      if (testing::Test::HasFailure()) return;
    }
    if (!unsafe_only_) CheckFlowCounts();
  }

  uint64_t connections_moved_from_removed() const { return moved_from_removed_; }
  uint64_t ids_reused() const { return ids_reused_; }
  uint64_t insert_full() const { return director_.InsertFull(); }
  uint64_t opened() const { return opened_; }
  uint64_t tracked() const { return director_.Inserted(); }
  uint64_t homes_released() const { return homes_released_; }

 private:
  enum class Life { kActive, kDraining };
  struct Backend {
    Life life = Life::kActive;
    uint64_t incarnation = 0;
  };
  struct Connection {
    BackendId backend;
    uint64_t incarnation = 0;
  };

  // All connections say something once, and then a flow's longest silence passes in which each says it again.
  void Wait() {
    const bool held = director_.state().pools[0]->homes_held;
    now_s_ += 1;
    CheckConsistency(-1);
    now_s_ += kTimeouts.tcp_established_s - 1;
    CheckConsistency(-1);
    fixture_.spec().now_s = now_s_ + 1;
    director_.TakeUp(fixture_.Build());
    if (held && !director_.state().pools[0]->homes_held) ++homes_released_;
  }

  uint32_t Below(size_t n) { return static_cast<uint32_t>(random_() % n); }

  void AddBackend() {
    const std::string address = "192.0.2." + std::to_string(1 + Below(250));
    // An id is reused only when every worker has swept under a state in which it was absent: the allocator's rule.
    if (!quarantine_.empty() && director_.SweptGeneration() >= quarantine_.front().second) {
      const BackendId id = quarantine_.front().first;
      quarantine_.erase(quarantine_.begin());
      fixture_.Reuse(id, pool_, address);
      backends_[id] = {.life = Life::kActive, .incarnation = ++incarnation_};
      ++ids_reused_;
      return;
    }
    const BackendId id = fixture_.AddBackend(pool_, address, 1 + Below(5));
    backends_[id] = {.life = Life::kActive, .incarnation = ++incarnation_};
  }

  BackendId RandomBackend() {
    auto it = backends_.begin();
    std::advance(it, Below(backends_.size()));
    return it->first;
  }

  void Change() {
    const BackendId id = RandomBackend();
    Backend& backend = backends_[id];
    switch (Below(5)) {
      case 0:
        AddBackend();
        break;
      case 1:
        if (backends_.size() > 5) {
          fixture_.Remove(id);
          backends_.erase(id);
          // Absent from the next generation on.
          quarantine_.emplace_back(id, director_.state().generation + 1);
        }
        break;
      case 2:
        if (backend.life == Life::kActive) {
          fixture_.Drain(id);
          backend.life = Life::kDraining;
        }
        break;
      case 3:
        if (backend.life == Life::kDraining) {
          fixture_.Undrain(id, pool_, 1 + Below(9));
          backend.life = Life::kActive;
        }
        break;
      default:
        if (backend.life == Life::kActive) {
          fixture_.Drain(id);
          fixture_.Undrain(id, pool_, 1 + Below(9));
        }
    }
  }

  void Open(int count) {
    for (int i = 0; i < count; ++i) {
      const SimFlow flow{.client = Below(1u << 24), .port = static_cast<uint16_t>(1024 + Below(60000))};
      const auto key = std::pair(flow.client, flow.port);
      if (connections_.contains(key)) continue;
      const fwd::Selection selection = director_.Send(flow, vip_, net::kTcpSyn, now_s_);
      if (!selection.backend.valid()) continue;
      ASSERT_EQ(backends_.at(selection.backend).life, Life::kActive) << "a new flow on a draining backend";
      ++opened_;
      connections_[key] = {selection.backend, backends_.at(selection.backend).incarnation};
    }
  }

  void Close(int count) {
    for (int i = 0; i < count && !connections_.empty(); ++i) {
      auto it = connections_.begin();
      std::advance(it, Below(connections_.size()));
      director_.Send({it->first.first, it->first.second}, vip_, net::kTcpFin | net::kTcpAck, now_s_);
      connections_.erase(it);
    }
  }

  void CheckConsistency(int step) {
    for (auto& [key, connection] : connections_) {
      const fwd::Selection now = director_.Send({key.first, key.second}, vip_, net::kTcpAck, now_s_);
      const auto old = backends_.find(connection.backend);
      const bool old_lives = old != backends_.end() && old->second.incarnation == connection.incarnation;
      if (old_lives) {
        ASSERT_EQ(now.backend, connection.backend) << "step " << step << ": a connection was moved off a live backend";
        continue;
      }
      if (!now.backend.valid()) continue;
      ++moved_from_removed_;
      connection = {now.backend, backends_.at(now.backend).incarnation};
    }
  }

  // The counters' view of living flows against the simulation's own.
  void CheckFlowCounts() {
    now_s_ += kTimeouts.tcp_closing_s;
    director_.Sweep(now_s_);
    std::map<BackendId, uint64_t> expected;
    for (const auto& [key, connection] : connections_) ++expected[connection.backend];
    for (const auto& [id, backend] : backends_) EXPECT_EQ(director_.Alive(id), expected[id]);
    for (const auto& [id, generation] : quarantine_) EXPECT_EQ(director_.Alive(id), 0u);
  }

  const bool unsafe_only_;
  std::mt19937 random_;
  test::StateFixture fixture_;
  Director director_;
  PoolId pool_;
  VipId vip_;
  uint32_t now_s_ = 100;
  uint64_t incarnation_ = 0;
  uint64_t moved_from_removed_ = 0;
  uint64_t ids_reused_ = 0;
  uint64_t opened_ = 0;
  uint64_t homes_released_ = 0;
  std::map<BackendId, Backend> backends_;
  std::map<std::pair<uint32_t, uint16_t>, Connection> connections_;
  std::vector<std::pair<BackendId, uint64_t>> quarantine_;  // id, first generation without it
};

class ChurnTest : public testing::TestWithParam<uint32_t> {};

TEST_P(ChurnTest, NoConnectionLeavesALivingBackendOfWhichOnlyUnsafeOnesAreTracked) {
  SCOPED_TRACE(testing::Message() << "seed " << GetParam());
  Churn churn(GetParam(), true);
  churn.Run(600);
  EXPECT_GT(churn.connections_moved_from_removed(), 100u);
  EXPECT_GT(churn.ids_reused(), 10u);
  EXPECT_EQ(churn.insert_full(), 0u);
  EXPECT_GT(churn.homes_released(), 3u);
  EXPECT_GT(churn.tracked(), 100u);
}

TEST_P(ChurnTest, NoConnectionLeavesALivingBackend) {
  SCOPED_TRACE(testing::Message() << "seed " << GetParam());
  Churn churn(GetParam(), false);
  churn.Run(600);
  // The run must have exercised what it checks.
  EXPECT_GT(churn.connections_moved_from_removed(), 100u);
  EXPECT_GT(churn.ids_reused(), 10u);
  EXPECT_EQ(churn.insert_full(), 0u);
}

// How many seeds to run: few by default, SLUICE_SIM_SEEDS for a soak.
uint32_t SeedCount() {
  constexpr uint32_t kFew = 8;
  const char* wanted = std::getenv("SLUICE_SIM_SEEDS");
  return wanted != nullptr ? static_cast<uint32_t>(std::strtoul(wanted, nullptr, 10)) : kFew;
}

INSTANTIATE_TEST_SUITE_P(Seeds, ChurnTest, testing::Range(uint32_t{1}, SeedCount() + 1));

}  // namespace
}  // namespace sluice::sim
