#include "dataplane/runtime/idle.h"

#include <gtest/gtest.h>

namespace sluice::runtime {
namespace {

constexpr uint64_t kStart = 1'000'000'000;

TEST(IdlePolicyTest, PollNeverSleeps) {
  IdlePolicy policy(IdleMode::kPoll, IdlePolicy::kMaxNapNs);
  for (uint64_t now = kStart; now < kStart + 10'000'000; now += 100'000) EXPECT_EQ(policy.AfterRound(false, now), 0u);
}

TEST(IdlePolicyTest, SpinsThenNapsWithGrowthUpToTheLimit) {
  IdlePolicy policy(IdleMode::kAdaptive, IdlePolicy::kMaxNapNs);
  EXPECT_EQ(policy.AfterRound(true, kStart), 0u);
  EXPECT_EQ(policy.AfterRound(false, kStart + IdlePolicy::kSpinNs - 1), 0u);
  uint64_t now = kStart + IdlePolicy::kSpinNs;
  uint64_t expected = IdlePolicy::kFirstNapNs;
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(policy.AfterRound(false, now), expected) << i;
    now += expected;
    expected = std::min(expected * 2, IdlePolicy::kMaxNapNs);
  }
  EXPECT_EQ(expected, IdlePolicy::kMaxNapNs);
}

TEST(IdlePolicyTest, APacketEndsTheGrowth) {
  IdlePolicy policy(IdleMode::kAdaptive, IdlePolicy::kMaxNapNs);
  uint64_t now = kStart;
  for (int i = 0; i < 10; ++i) now += policy.AfterRound(false, now);
  EXPECT_EQ(policy.AfterRound(true, now), 0u);
  EXPECT_EQ(policy.AfterRound(false, now + 1), 0u) << "it spins again after a packet";
  EXPECT_EQ(policy.AfterRound(false, now + IdlePolicy::kSpinNs), IdlePolicy::kFirstNapNs);
}

}  // namespace
}  // namespace sluice::runtime
