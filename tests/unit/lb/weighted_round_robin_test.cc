#include "dataplane/lb/weighted_round_robin.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "dataplane/lb/load_estimate.h"

namespace sluice::lb {
namespace {

// Members a, b, c ... with these weights, and the first turns.
std::string Turns(const std::vector<uint16_t>& weights, size_t count, TurnCursor cursor = {}) {
  std::vector<TurnOrder::Member> members;
  for (size_t i = 0; i < weights.size(); ++i) members.push_back({.id = static_cast<uint16_t>(i), .weight = weights[i]});
  const TurnOrder order = MakeTurnOrder(members);
  std::string text;
  for (size_t i = 0; i < count; ++i) text += static_cast<char>('a' + order.members[TakeTurn(order, cursor)].id);
  return text;
}

TEST(TurnsTest, EqualWeightsAlternate) {
  EXPECT_EQ(Turns({100, 100, 100}, 9), "abcabcabc");
  EXPECT_EQ(Turns({7}, 3), "aaa");
}

TEST(TurnsTest, WeightsAreSpreadOverTheCycle) {
  EXPECT_EQ(Turns({200, 100}, 9), "abaabaaba");
  // By hand: five rounds in steps of three, with thresholds 1 4 2 5 3.
  EXPECT_EQ(Turns({5, 1}, 12), "abaaaaabaaaa");
  EXPECT_EQ(Turns({5, 3, 2}, 10), "abcaabcaab");
}

TEST(TurnsTest, ACycleHasAsManyTurnsAsWeightsSay) {
  const std::vector<uint16_t> weights = {1000, 999, 1, 17, 500, 0};
  std::map<char, int> taken;
  for (const char member : Turns(weights, 1000 + 999 + 1 + 17 + 500, {.member = 3, .round = 77})) ++taken[member];
  // A cycle that begins within one ends within one, and has all its turns.
  EXPECT_EQ(taken, (std::map<char, int>{{'a', 1000}, {'b', 999}, {'c', 1}, {'d', 17}, {'e', 500}}));
}

TEST(TurnsTest, ACursorOfAnotherOrderGoesOn) {
  EXPECT_EQ(Turns({1, 1}, 4, {.member = 500, .round = 900}), "abab");
  EXPECT_TRUE(MakeTurnOrder({}).members.empty());
  EXPECT_TRUE(MakeTurnOrder({{.id = 1, .weight = 0}}).members.empty());
}

TEST(LoadEstimateTest, CountsAndFades) {
  LoadEstimate estimate;
  for (int i = 0; i < 100; ++i) estimate.Begin(1000);
  EXPECT_EQ(estimate.Value(1000), 100 * LoadEstimate::kOne);
  for (int i = 0; i < 40; ++i) estimate.End(1001);
  EXPECT_EQ(estimate.Value(1001), 60 * LoadEstimate::kOne);
  // Half of it after about six minutes, and nothing after a day.
  EXPECT_NEAR(estimate.Value(1001 + 332) / double{LoadEstimate::kOne}, 30, 2);
  EXPECT_EQ(estimate.Value(1001 + 86400), 0u);
  estimate.Begin(90000);
  EXPECT_EQ(estimate.Value(90000), LoadEstimate::kOne);
}

TEST(LoadEstimateTest, EndsWithoutBeginningsAreNothing) {
  LoadEstimate estimate;
  for (int i = 0; i < 5; ++i) estimate.End(5);
  EXPECT_EQ(estimate.Value(5), 0u);
  estimate.Begin(5);
  EXPECT_EQ(estimate.Value(5), LoadEstimate::kOne);
}

}  // namespace
}  // namespace sluice::lb
