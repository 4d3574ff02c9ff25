#include "dataplane/runtime/punt_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>
#include <utility>
#include <vector>

#include "dataplane/runtime/memory_plan.h"

#if defined(__SANITIZE_THREAD__)
// DPDK's rings order their accesses by processor and compiler barriers, which ThreadSanitizer does not understand.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "race:__rte_ring_"; }
#endif

namespace sluice::runtime {
namespace {

using stage::PuntClass;

// Queues of numbers of packets, and the order in which they were served.
class FakeQueues {
 public:
  explicit FakeQueues(std::array<size_t, stage::kPuntClassCount> waiting) : waiting_(waiting) {}

  size_t Turn() {
    return ServePuntTurn([this](PuntClass punt_class, size_t count) {
      size_t& waiting = waiting_[static_cast<size_t>(punt_class)];
      const size_t taken = std::min(waiting, count);
      waiting -= taken;
      order_.insert(order_.end(), taken, punt_class);
      return taken;
    });
  }
  size_t waiting(PuntClass punt_class) const { return waiting_[static_cast<size_t>(punt_class)]; }
  void Add(PuntClass punt_class, size_t count) { waiting_[static_cast<size_t>(punt_class)] += count; }
  const std::vector<PuntClass>& order() const { return order_; }

 private:
  std::array<size_t, stage::kPuntClassCount> waiting_;
  std::vector<PuntClass> order_;
};

TEST(ServePuntTurnTest, ControlComesFirst) {
  FakeQueues queues({100, 10, 10, 10, 10});
  queues.Turn();
  EXPECT_TRUE(std::all_of(queues.order().begin(), queues.order().begin() + 100,
                          [](PuntClass c) { return c == PuntClass::kControl; }));
  EXPECT_EQ(queues.order()[100], PuntClass::kRouting);
}

TEST(ServePuntTurnTest, FloodsOfAllOtherClassesLeaveRoutingAndManagementTheirShare) {
  FakeQueues queues({0, 100000, 100000, 100000, 100000});
  for (int i = 0; i < 100; ++i) queues.Turn();
  EXPECT_EQ(100000 - queues.waiting(PuntClass::kRouting), 100 * kPuntBatch);
  EXPECT_EQ(100000 - queues.waiting(PuntClass::kManagement), 100 * kPuntBatch);
  EXPECT_EQ(100000 - queues.waiting(PuntClass::kIcmp), 800u);
  EXPECT_EQ(100000 - queues.waiting(PuntClass::kOther), 800u);
}

TEST(ServePuntTurnTest, AControlPacketWaitsForOneQuantumAtMost) {
  // It comes while the longest quantum, that of management, is being served.
  FakeQueues queues({0, 100000, 100000, 100000, 100000});
  std::vector<PuntClass> after;
  bool added = false;
  size_t control = 0;
  ServePuntTurn([&](PuntClass punt_class, size_t count) {
    if (punt_class == PuntClass::kControl) return std::exchange(control, 0);
    if (added && control == 1) after.push_back(punt_class);
    if (punt_class == PuntClass::kManagement) {
      control = 1;
      added = true;
    }
    return count;
  });
  EXPECT_TRUE(after.empty()) << "a class was served before a waiting control packet";
  EXPECT_EQ(control, 0u);
}

TEST(ServePuntTurnTest, AFloodOfControlPacketsDoesNotEndTheTurnsOfOthers) {
  FakeQueues queues({1'000'000, 10, 10, 10, 10});
  queues.Turn();
  EXPECT_EQ(queues.waiting(PuntClass::kManagement), 0u);
  EXPECT_GT(queues.waiting(PuntClass::kControl), 0u);
}

TEST(ServePuntTurnTest, SaysHowManyItServed) {
  FakeQueues queues({3, 2, 1, 4, 5});
  EXPECT_EQ(queues.Turn(), 15u);
  EXPECT_EQ(queues.Turn(), 0u);
}

rte_mbuf* Packet(uintptr_t number) { return reinterpret_cast<rte_mbuf*>(number * 64); }

TEST(PuntQueueTest, EachClassHasItsOwnRoom) {
  PuntQueue queue;
  size_t put = 0;
  while (queue.Put(PuntClass::kOther, Packet(put + 1))) ++put;
  EXPECT_EQ(put, kPuntRingSizes[4] - 1);
  EXPECT_TRUE(queue.Put(PuntClass::kControl, Packet(1000)));
  EXPECT_TRUE(queue.Put(PuntClass::kManagement, Packet(1001)));
  EXPECT_TRUE(queue.Put(PuntClass::kIcmp, Packet(1002)));
  EXPECT_TRUE(queue.Put(PuntClass::kRouting, Packet(1003)));
  EXPECT_EQ(queue.size(), put + 4);

  std::array<rte_mbuf*, 4> taken{};
  EXPECT_EQ(queue.Take(PuntClass::kControl, taken.data(), taken.size()), 1u);
  EXPECT_EQ(taken[0], Packet(1000));
  EXPECT_EQ(queue.Take(PuntClass::kOther, taken.data(), taken.size()), 4u);
  EXPECT_EQ(taken[0], Packet(1));
  EXPECT_EQ(taken[3], Packet(4));
}

TEST(PuntQueueTest, LosesNothingBetweenThreads) {
  constexpr uintptr_t kEach = 20000;
  PuntQueue queue;
  const auto producer = [&queue](uintptr_t first) {
    for (uintptr_t i = 0; i < kEach; ++i) {
      while (!queue.Put(PuntClass::kIcmp, Packet(first + i))) std::this_thread::yield();
    }
  };
  std::thread one(producer, 1), two(producer, 1 + kEach);
  uint64_t sum = 0;
  for (size_t got = 0; got < 2 * kEach;) {
    std::array<rte_mbuf*, 32> taken;
    const size_t count = queue.Take(PuntClass::kIcmp, taken.data(), taken.size());
    for (size_t i = 0; i < count; ++i) sum += reinterpret_cast<uintptr_t>(taken[i]) / 64;
    if (count == 0) std::this_thread::yield();
    got += count;
  }
  one.join();
  two.join();
  EXPECT_EQ(sum, 2 * kEach * (2 * kEach + 1) / 2);
  EXPECT_EQ(queue.size(), 0u);
}

}  // namespace
}  // namespace sluice::runtime
