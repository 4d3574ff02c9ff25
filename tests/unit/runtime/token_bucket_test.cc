#include "dataplane/runtime/token_bucket.h"

#include <gtest/gtest.h>

namespace sluice::runtime {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

TEST(TokenBucketTest, BeginsFullAndGivesNoMoreThanItsBurst) {
  TokenBucket bucket(1000, 100, 0);
  EXPECT_EQ(bucket.Take(64, 0), 64u);
  EXPECT_EQ(bucket.Take(64, 0), 36u);
  EXPECT_EQ(bucket.Take(64, 0), 0u);
  EXPECT_EQ(bucket.Take(1000, 10 * kSecond), 100u);
}

TEST(TokenBucketTest, GivesExactlyItsRateHoweverOftenItIsAsked) {
  for (const uint64_t step_ns : {97u, 999u, 1'000'003u, 50'000'000u}) {
    TokenBucket bucket(12'345, 5000, 0);
    bucket.Take(5000, 0);
    uint64_t taken = 0;
    uint64_t now = 0;
    while (now < kSecond / 10) {
      now += step_ns;
      taken += bucket.Take(1'000'000, now);
    }
    EXPECT_EQ(taken, now * 12'345 / kSecond) << "step " << step_ns;
  }
}

TEST(TokenBucketTest, SurvivesLongPausesAndHighRates) {
  TokenBucket bucket(100'000'000, 10'000'000, 0);
  EXPECT_EQ(bucket.Take(UINT64_MAX, UINT64_MAX / 2), 10'000'000u);
  EXPECT_EQ(bucket.Take(UINT64_MAX, UINT64_MAX / 2 + 1000), 100u);
}

TEST(TokenBucketTest, RateZeroGivesItsBurstOnly) {
  TokenBucket bucket(0, 1, 0);
  EXPECT_EQ(bucket.Take(5, kSecond), 1u);
  EXPECT_EQ(bucket.Take(5, 100 * kSecond), 0u);
}

}  // namespace
}  // namespace sluice::runtime
