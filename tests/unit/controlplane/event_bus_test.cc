#include "controlplane/model/event_bus.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

namespace sluice::model {
namespace {

constexpr std::chrono::milliseconds kNow(0);
constexpr std::chrono::minutes kLong(5);

void Say(EventBus& bus, std::string message) {
  Event event;
  event.message = std::move(message);
  bus.Publish(std::move(event));
}

TEST(EventBusTest, EventsAreNumberedAndReadInOrder) {
  EventBus bus;
  EXPECT_EQ(bus.newest(), 0u);
  for (const char* text : {"a", "b", "c"}) Say(bus, text);
  const EventBus::Batch batch = bus.ReadAfter(1, 10, kNow);
  ASSERT_EQ(batch.events.size(), 2u);
  EXPECT_EQ(batch.events[0].message, "b");
  EXPECT_EQ(batch.events[1].sequence, 3u);
  EXPECT_EQ(batch.missed, 0u);
  EXPECT_EQ(bus.newest(), 3u);
  EXPECT_EQ(bus.ReadAfter(0, 1, kNow).events.size(), 1u);
}

TEST(EventBusTest, SlowReaderLearnsHowManyItMissed) {
  EventBus bus(2);
  for (int i = 1; i <= 5; ++i) Say(bus, std::to_string(i));
  const EventBus::Batch batch = bus.ReadAfter(1, 10, kNow);
  EXPECT_EQ(batch.missed, 2u);  // 2 and 3
  ASSERT_EQ(batch.events.size(), 2u);
  EXPECT_EQ(batch.events[0].message, "4");
  EXPECT_EQ(bus.before_oldest(), 3u);
}

TEST(EventBusTest, ReaderOfTheFutureGetsNothing) {
  EventBus bus;
  Say(bus, "a");
  EXPECT_TRUE(bus.ReadAfter(7, 10, kNow).events.empty());
}

TEST(EventBusTest, WaitingReaderIsWokenByAnEventAndByTheEnd) {
  EventBus bus;
  std::thread writer([&] { Say(bus, "a"); });
  EXPECT_EQ(bus.ReadAfter(0, 10, kLong).events.size(), 1u);
  writer.join();
  std::thread closer([&] { bus.Close(); });
  EXPECT_TRUE(bus.ReadAfter(1, 10, kLong).closed);
  closer.join();
}

}  // namespace
}  // namespace sluice::model
