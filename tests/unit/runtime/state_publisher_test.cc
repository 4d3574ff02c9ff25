#include "dataplane/runtime/state_publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace sluice::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kBackends = 64;

net::IpAddress Address(size_t i) { return net::IpAddress::V4(Be32::FromHost(static_cast<uint32_t>(0x0a000001 + i))); }

net::MacAddress MacOf(uint64_t number) {
  uint8_t bytes[6] = {2, 0};
  std::memcpy(bytes + 2, &number, 4);
  return net::MacAddress(bytes);
}

// A state whose every part says its generation, so that a torn or freed one is told.
std::shared_ptr<const fwd::ForwardingState> State(uint64_t generation) {
  auto infos = std::make_shared<std::vector<fwd::BackendInfo>>();
  for (size_t i = 0; i < kBackends; ++i) {
    infos->push_back({.address = Address(i),
                      .generation = static_cast<BackendGeneration>(generation),
                      .state = fwd::BackendState::kActive});
  }
  auto state = std::make_shared<fwd::ForwardingState>();
  state->generation = generation;
  state->backend_infos = std::move(infos);
  return state;
}

class FakeNextHops : public NextHopSource {
 public:
  void Watch(const std::vector<net::IpAddress>& addresses) override { watched = addresses; }
  fwd::NextHop Lookup(const net::IpAddress&) override {
    fwd::NextHop hop;
    hop.port = PortId(0);
    hop.resolved = true;
    hop.destination = MacOf(mac.load());
    return hop;
  }
  std::shared_ptr<const fwd::ClientRoutes> Routes() override { return routes; }

  std::atomic<uint64_t> mac = 1;
  std::shared_ptr<const fwd::ClientRoutes> routes = std::make_shared<const fwd::ClientRoutes>();
  std::vector<net::IpAddress> watched;
};

class StatePublisherTest : public ::testing::Test {
 protected:
  FakeNextHops next_hops_;
};

TEST_F(StatePublisherTest, GivesTheNewestStateWithItsNextHops) {
  StatePublisher publisher(1, &next_hops_);
  EXPECT_EQ(publisher.Read(), nullptr);
  EXPECT_EQ(publisher.Current(), nullptr);
  ASSERT_TRUE(publisher.Publish(State(7)).ok());
  const fwd::ForwardingState* state = publisher.Read();
  ASSERT_NE(state, nullptr);
  EXPECT_EQ(state->generation, 7u);
  ASSERT_EQ(state->backends->size(), kBackends);
  EXPECT_TRUE((*state->backends)[0].resolved);
  EXPECT_EQ(next_hops_.watched.size(), kBackends);
  EXPECT_EQ(publisher.Current()->generation, 7u);
}

TEST_F(StatePublisherTest, WatchesEachAddressOnceAndNoneOfAbsentBackends) {
  auto infos = std::make_shared<std::vector<fwd::BackendInfo>>();
  infos->push_back({.address = Address(2), .generation = 1, .state = fwd::BackendState::kDraining});
  infos->push_back({.address = Address(1), .generation = 1, .state = fwd::BackendState::kActive});
  infos->push_back({.address = Address(2), .generation = 1, .state = fwd::BackendState::kActive});
  infos->push_back({.address = Address(3), .generation = 1, .state = fwd::BackendState::kAbsent});
  auto state = std::make_shared<fwd::ForwardingState>();
  state->backend_infos = infos;
  StatePublisher publisher(1, &next_hops_);
  ASSERT_TRUE(publisher.Publish(state).ok());
  EXPECT_THAT(next_hops_.watched, ElementsAre(Address(1), Address(2)));
}

TEST_F(StatePublisherTest, RefreshPublishesOnlyChangedNextHopsUnderTheSameGeneration) {
  StatePublisher publisher(1, &next_hops_);
  EXPECT_FALSE(*publisher.Refresh()) << "there is no state yet";
  ASSERT_TRUE(publisher.Publish(State(3)).ok());
  const fwd::ForwardingState* before = publisher.Read();
  EXPECT_FALSE(*publisher.Refresh());
  EXPECT_EQ(publisher.Read(), before);
  next_hops_.mac = 2;
  EXPECT_TRUE(*publisher.Refresh());
  EXPECT_NE(publisher.Read(), before);
  EXPECT_EQ(publisher.Read()->generation, 3u);
  EXPECT_EQ(net::MacAddress((*publisher.Read()->backends)[5].ether.destination), MacOf(2));
}

TEST_F(StatePublisherTest, RefreshPublishesChangedRoutes) {
  StatePublisher publisher(1, &next_hops_);
  ASSERT_TRUE(publisher.Publish(State(3)).ok());
  EXPECT_EQ(publisher.Read()->client_routes, next_hops_.routes);
  EXPECT_FALSE(*publisher.Refresh());
  next_hops_.routes = std::make_shared<const fwd::ClientRoutes>();
  EXPECT_TRUE(*publisher.Refresh());
  EXPECT_EQ(publisher.Read()->client_routes, next_hops_.routes);
  EXPECT_EQ(publisher.Read()->generation, 3u);
}

TEST_F(StatePublisherTest, FreesAStateWhenTheReaderLetsGo) {
  StatePublisher publisher(1, &next_hops_);
  publisher.Online(0);
  ASSERT_TRUE(publisher.Publish(State(1)).ok());
  std::weak_ptr<const fwd::ForwardingState> first = publisher.Current();
  ASSERT_TRUE(publisher.Publish(State(2)).ok());
  EXPECT_EQ(publisher.Reclaim(), 1u);
  EXPECT_FALSE(first.expired()) << "the reader may hold it";
  publisher.Quiescent(0);
  EXPECT_EQ(publisher.Reclaim(), 0u);
  EXPECT_TRUE(first.expired());
  EXPECT_EQ(publisher.Read()->generation, 2u);
}

TEST_F(StatePublisherTest, AnOfflineReaderHoldsNothingUp) {
  StatePublisher publisher(2, &next_hops_);
  publisher.Online(1);
  for (uint64_t generation = 1; generation <= 100; ++generation) {
    ASSERT_TRUE(publisher.Publish(State(generation)).ok());
    publisher.Quiescent(1);
    EXPECT_EQ(publisher.Reclaim(), 0u);
  }
}

TEST_F(StatePublisherTest, BoundsUnfreedStatesAndNamesTheWorker) {
  StatePublisher publisher(3, &next_hops_);
  for (uint32_t reader = 0; reader < 3; ++reader) publisher.Online(reader);
  uint64_t generation = 0;
  for (size_t i = 0; i <= StatePublisher::kMaxUnfreed; ++i) {
    ASSERT_TRUE(publisher.Publish(State(++generation)).ok());
    publisher.Quiescent(0);
    publisher.Quiescent(2);
  }
  const absl::Status refused = publisher.Publish(State(generation + 1));
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("worker 1 makes no progress"));
  EXPECT_EQ(publisher.Read()->generation, generation) << "nothing was changed";
  next_hops_.mac = 9;
  EXPECT_EQ(publisher.Refresh().status().code(), absl::StatusCode::kResourceExhausted);

  publisher.Quiescent(1);
  EXPECT_TRUE(publisher.Publish(State(generation + 1)).ok());
  EXPECT_EQ(publisher.Reclaim(), 1u);
  for (uint32_t reader = 0; reader < 3; ++reader) publisher.Offline(reader);
}

TEST_F(StatePublisherTest, RefusesAStateThatIsNone) {
  StatePublisher publisher(1, &next_hops_);
  EXPECT_EQ(publisher.Publish(nullptr).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(publisher.Publish(std::make_shared<fwd::ForwardingState>()).code(), absl::StatusCode::kInvalidArgument);
}

// A reader as a worker is: reads a state through and through between quiescent states, sleeps now and then.
class Reader {
 public:
  Reader(StatePublisher& publisher, uint32_t id, const std::atomic<bool>& stop)
      : thread_([this, &publisher, id, &stop] { Run(publisher, id, stop); }) {}
  void Join() { thread_.join(); }
  uint64_t rounds() const { return rounds_; }
  bool whole() const { return whole_; }

 private:
  void Run(StatePublisher& publisher, uint32_t id, const std::atomic<bool>& stop) {
    uint64_t newest = 0;
    publisher.Online(id);
    while (!stop.load(std::memory_order_relaxed)) {
      const fwd::ForwardingState* state = publisher.Read();
      whole_ = whole_ && state->generation >= newest && IsWhole(*state);
      newest = state->generation;
      if (++rounds_ % 256 == 0) {
        publisher.Offline(id);
        std::this_thread::yield();
        publisher.Online(id);
      } else {
        publisher.Quiescent(id);
      }
    }
    publisher.Offline(id);
  }

  static bool IsWhole(const fwd::ForwardingState& state) {
    const auto generation = static_cast<BackendGeneration>(state.generation);
    for (size_t i = 0; i < kBackends; ++i) {
      const fwd::BackendEntry& entry = (*state.backends)[i];
      // Next hops may change within one resolution: only that each is one of those given out is known.
      if (entry.generation != generation || (*state.backend_infos)[i].generation != generation || !entry.resolved ||
          entry.ether.destination[0] != 2 || entry.ether.destination[1] != 0) {
        return false;
      }
    }
    return true;
  }

  uint64_t rounds_ = 0;
  bool whole_ = true;
  std::thread thread_;
};

// Under ThreadSanitizer and AddressSanitizer this shows that no state is freed while it is read.
TEST_F(StatePublisherTest, ReadersSeeWholeStatesThroughThousandsOfChanges) {
  constexpr uint64_t kChanges = 4000;
  StatePublisher publisher(2, &next_hops_);
  ASSERT_TRUE(publisher.Publish(State(1)).ok());
  std::atomic<bool> stop = false;
  Reader one(publisher, 0, stop), two(publisher, 1, stop);
  // Next hops change from another control thread meanwhile.
  std::thread refresher([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      next_hops_.mac.fetch_add(1);
      publisher.Refresh().status().IgnoreError();
      publisher.Reclaim();
      std::this_thread::yield();
    }
  });
  for (uint64_t generation = 2; generation <= kChanges;) {
    const absl::Status status = publisher.Publish(State(generation));
    if (status.ok()) {
      ++generation;
    } else {
      ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
      std::this_thread::yield();
    }
  }
  stop = true;
  refresher.join();
  one.Join();
  two.Join();
  EXPECT_TRUE(one.whole());
  EXPECT_TRUE(two.whole());
  EXPECT_GT(one.rounds() + two.rounds(), 0u);
  EXPECT_EQ(publisher.Reclaim(), 0u);
  EXPECT_EQ(publisher.Read()->generation, kChanges);
}

}  // namespace
}  // namespace sluice::runtime
