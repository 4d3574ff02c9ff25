#include "dataplane/lb/nat_stamps.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace sluice::lb {
namespace {

constexpr CookieLayout kLayout = {.key_bits = 1, .backend_bits = 10, .check_bits = 2, .clock_bits = 5};

TEST(NatStampsTest, WithoutACookieThereIsNothing) {
  const NatStamps stamps = {};
  EXPECT_FALSE(stamps.active());
  EXPECT_FALSE(stamps.IsOwn(0));
  EXPECT_EQ(stamps.Restore(12345), 0u);
}

TEST(NatStampsTest, TheBackendGetsItsOwnBack) {
  std::mt19937 random(7);
  for (const uint8_t clock_bits : {uint8_t{0}, uint8_t{1}, uint8_t{5}, uint8_t{10}}) {
    CookieLayout layout = kLayout;
    layout.clock_bits = clock_bits;
    const uint32_t cookie = static_cast<uint32_t>(random()) & ((1U << layout.bits()) - 1);
    NatStamps stamps;
    stamps.Begin(layout, cookie);
    EXPECT_EQ(stamps.Restore(EncodeTimestamp(layout, 99, cookie)), 0u) << "nothing was sent yet";
    // The first timestamp of each tick, the newest last.
    std::vector<uint32_t> firsts;
    uint32_t now = 0xffff'0000;  // goes round
    for (int i = 0; i < 5000; ++i) {
      now += static_cast<uint32_t>(random() % 300);
      if (firsts.empty() || firsts.back() >> clock_bits != now >> clock_bits) firsts.push_back(now);
      const uint32_t wire = stamps.Send(now);
      ASSERT_EQ(wire, EncodeTimestamp(layout, now, cookie));
      ASSERT_TRUE(stamps.IsOwn(wire));
      for (size_t back = 0; back < std::min(firsts.size(), NatStamps::kTicks); ++back) {
        const uint32_t first = firsts[firsts.size() - 1 - back];
        ASSERT_EQ(stamps.Restore(EncodeTimestamp(layout, first, cookie)), first) << i << " " << back;
      }
      // Of ticks that are not remembered, their beginning.
      const uint32_t old = now - 3000;
      if (firsts.size() > NatStamps::kTicks && firsts[firsts.size() - NatStamps::kTicks] - old < 0x8000'0000 &&
          firsts[firsts.size() - NatStamps::kTicks] >> clock_bits != old >> clock_bits) {
        ASSERT_EQ(stamps.Restore(EncodeTimestamp(layout, old, cookie)), old >> clock_bits << clock_bits);
      }
    }
  }
}

TEST(NatStampsTest, AnotherCookieIsNoEcho) {
  NatStamps stamps;
  stamps.Begin(kLayout, 5);
  const uint32_t wire = stamps.Send(1000);
  EXPECT_EQ(stamps.Restore(wire), 1000u);
  EXPECT_EQ(stamps.Restore(wire ^ 1), 0u);
  stamps.Begin(kLayout, 6);
  EXPECT_EQ(stamps.Restore(EncodeTimestamp(kLayout, 1000, 6)), 0u) << "what was before is forgotten";
}

}  // namespace
}  // namespace sluice::lb
