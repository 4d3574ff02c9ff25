#include "dataplane/lb/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace sluice::lb {
namespace {

const SipKey kOffsetKey = {1};
const SipKey kSkipKey = {2};

std::vector<MaglevMember> MakeMembers(int count, uint32_t table_size, uint32_t weight = 1) {
  std::vector<MaglevMember> members;
  for (int i = 0; i < count; ++i) {
    members.push_back(
        {.id = static_cast<uint16_t>(i),
         .weight = weight,
         .permutation = MakePermutation(kOffsetKey, kSkipKey, "backend-" + std::to_string(i), table_size)});
  }
  return members;
}

// The paper's algorithm read as literally as possible, weights by whole turns: the oracle.
std::vector<uint16_t> Naive(const std::vector<MaglevMember>& members, uint64_t m, std::vector<uint16_t>* heirs) {
  std::vector<int> entry(m, -1);
  std::vector<int> second(m, -1);
  uint64_t without_second = m;
  std::vector<uint64_t> next(members.size(), 0);
  std::vector<uint64_t> accumulated(members.size(), 0);
  uint64_t largest = 0;
  for (const auto& member : members) largest = std::max<uint64_t>(largest, member.weight);
  const auto come_to_next = [&](size_t i) {
    const uint64_t c = (members[i].permutation.offset + next[i]++ * members[i].permutation.skip) % m;
    if (entry[c] >= 0 && entry[c] != members[i].id && second[c] < 0) {
      second[c] = members[i].id;
      --without_second;
    }
    return c;
  };
  for (uint64_t n = 0; n < m;) {
    for (size_t i = 0; i < members.size() && n < m; ++i) {
      accumulated[i] += members[i].weight;
      if (accumulated[i] < largest) continue;
      accumulated[i] -= largest;
      uint64_t c = 0;
      do {
        c = come_to_next(i);
      } while (entry[c] >= 0);
      entry[c] = members[i].id;
      ++n;
    }
  }
  // Who has no slot yet goes on behind its first preference, as all others behind the last that they took.
  for (uint64_t& n : next) n = std::max<uint64_t>(n, 1);
  while (members.size() > 1 && without_second > 0) {
    for (size_t i = 0; i < members.size(); ++i) come_to_next(i);
  }
  heirs->assign(second.begin(), second.end());
  return {entry.begin(), entry.end()};
}

void ExpectNaive(const std::vector<MaglevMember>& members, uint32_t m) {
  SCOPED_TRACE(std::to_string(members.size()) + " members, " + std::to_string(m) + " slots");
  std::vector<uint16_t> naive_heirs;
  std::vector<uint16_t> heirs;
  const std::vector<uint16_t> naive = Naive(members, m, &naive_heirs);
  // Not EXPECT_EQ, which prints whole tables.
  EXPECT_TRUE(BuildMaglevTable(members, m) == naive);
  EXPECT_TRUE(BuildMaglevTablePortable(members, m) == naive);
  EXPECT_TRUE(BuildMaglevTable(members, m, &heirs) == naive);
  EXPECT_TRUE(heirs == naive_heirs);
}

// The example of the Maglev paper, table 1.
TEST(MaglevTest, PublishedVector) {
  std::vector<MaglevMember> members = {{.id = 0, .weight = 1, .permutation = {.offset = 3, .skip = 4}},
                                       {.id = 1, .weight = 1, .permutation = {.offset = 0, .skip = 2}},
                                       {.id = 2, .weight = 1, .permutation = {.offset = 3, .skip = 1}}};
  EXPECT_EQ(BuildMaglevTable(members, 7), (std::vector<uint16_t>{1, 0, 1, 0, 2, 2, 0}));
  members.erase(members.begin() + 1);
  EXPECT_EQ(BuildMaglevTable(members, 7), (std::vector<uint16_t>{0, 0, 0, 0, 2, 2, 2}));
}

TEST(MaglevTest, EqualsTheNaiveAlgorithm) {
  ASSERT_TRUE(__builtin_cpu_supports("avx2")) << "this CPU has no AVX2, so steps in eights cannot be tested";
  for (const uint32_t m : {7u, 101u, 1009u, 65537u}) {
    auto members = MakeMembers(5, m);
    members[1].weight = 3;
    members[3].weight = 7;
    ExpectNaive(members, m);
  }
  ExpectNaive(MakeMembers(1000, 65537), 65537);
}

// The largest that configurations allow.
TEST(MaglevTest, EqualsTheNaiveAlgorithmInTheLargestTable) {
  constexpr uint32_t kM = 4999999;
  ASSERT_TRUE(IsPrime(kM));
  ExpectNaive({{.id = 0, .weight = 3, .permutation = {.offset = kM - 1, .skip = kM - 1}},
               {.id = 0xfffe, .weight = 3, .permutation = {.offset = kM - 1, .skip = kM - 2}},
               {.id = 1, .weight = 3, .permutation = {.offset = 0, .skip = kM / 2}},
               {.id = 2, .weight = 3, .permutation = {.offset = 5, .skip = 7 * (kM / 8)}},
               {.id = 3, .weight = 1, .permutation = {.offset = kM - 1, .skip = 1}}},
              kM);
}

// All numbers of members that a small table can have, and some that a larger one can; steps and ids of all lengths.
TEST(MaglevTest, EqualsTheNaiveAlgorithmAtRandom) {
  std::mt19937 random(7);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  const auto expect_naive = [&](uint32_t count, uint32_t m) {
    const uint32_t heaviest = below(2) == 0 ? 1 : 100;
    const auto first_id = static_cast<uint16_t>(below(0xffff - count + 1));
    std::vector<MaglevMember> members;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t skip = below(4) == 0 ? std::min(m - 1, 1 + below(3)) : m - 1 - below(below(2) == 0 ? 1 : m - 1);
      members.push_back({.id = static_cast<uint16_t>(first_id + i),
                         .weight = 1 + below(heaviest),
                         .permutation = {.offset = below(m), .skip = skip}});
    }
    ExpectNaive(members, m);
  };
  for (uint32_t m = 2; m < 80; ++m) {
    for (uint32_t count = 1; count < m && IsPrime(m); ++count) expect_naive(count, m);
  }
  for (uint32_t m : {251u, 509u, 1021u, 2039u, 4093u}) {
    for (uint32_t count : {1u, 2u, 3u, 8u, m / 10, m - 2, m - 1}) expect_naive(count, m);
    for (int i = 0; i < 20; ++i) expect_naive(1 + below(m - 1), m);
  }
}

TEST(MaglevTest, MostSlotsOfWhoGoesAreTheirHeirs) {
  constexpr uint32_t kM = 4099;
  std::vector<MaglevMember> members = MakeMembers(40, kM);
  members[3].weight = 5;
  std::vector<uint16_t> heirs;
  const auto before = BuildMaglevTable(members, kM, &heirs);
  EXPECT_EQ(before, BuildMaglevTable(members, kM));
  ASSERT_EQ(heirs.size(), kM);
  for (uint32_t slot = 0; slot < kM; ++slot) {
    EXPECT_NE(heirs[slot], before[slot]);
    EXPECT_LT(heirs[slot], 40);
  }
  const size_t gone = 7;
  members.erase(members.begin() + gone);
  const auto after = BuildMaglevTable(members, kM);
  size_t own = 0, own_right = 0, moved = 0, moved_right = 0;
  for (uint32_t slot = 0; slot < kM; ++slot) {
    const bool right = after[slot] == heirs[slot];
    if (before[slot] == gone) {
      ++own;
      own_right += right ? 1 : 0;
    } else if (before[slot] != after[slot]) {
      ++moved;
      moved_right += right ? 1 : 0;
    }
  }
  EXPECT_GT(own, 50u);
  EXPECT_GT(own_right * 100, own * 85);
  EXPECT_GT(moved_right * 2, moved);
}

TEST(MaglevTest, OneMemberHasNoHeir) {
  std::vector<uint16_t> heirs;
  BuildMaglevTable(MakeMembers(1, 101), 101, &heirs);
  EXPECT_EQ(heirs, std::vector<uint16_t>(101, 0xffff));
  BuildMaglevTable({}, 101, &heirs);
  EXPECT_TRUE(heirs.empty());
  // Of two, the other one.
  const auto slots = BuildMaglevTable(MakeMembers(2, 101), 101, &heirs);
  for (uint32_t slot = 0; slot < 101; ++slot) EXPECT_EQ(heirs[slot], 1 - slots[slot]);
}

TEST(MaglevTest, NoMembersNoSlots) { EXPECT_TRUE(BuildMaglevTable({}, 7).empty()); }

TEST(MaglevTest, OneMemberTakesAll) {
  const auto slots = BuildMaglevTable(MakeMembers(1, 101), 101);
  EXPECT_EQ(std::set<uint16_t>(slots.begin(), slots.end()), std::set<uint16_t>{0});
}

TEST(MaglevTest, PermutationStaysInItsRange) {
  for (int i = 0; i < 1000; ++i) {
    const auto p = MakePermutation(kOffsetKey, kSkipKey, std::to_string(i), 7);
    EXPECT_LT(p.offset, 7u);
    EXPECT_GE(p.skip, 1u);
    EXPECT_LT(p.skip, 7u);
  }
}

TEST(MaglevTest, SharesFollowWeights) {
  constexpr uint32_t kM = 65537;
  auto members = MakeMembers(10, kM, 100);
  members[4].weight = 300;
  members[7].weight = 1;
  const auto slots = BuildMaglevTable(members, kM);
  std::map<uint16_t, double> count;
  for (const uint16_t id : slots) ++count[id];
  const double total_weight = 8 * 100 + 300 + 1;
  for (const auto& member : members) {
    EXPECT_NEAR(count[member.id], kM * member.weight / total_weight, kM * 0.0005) << member.id;
  }
}

// FIELD: N=1000, M=65537: 65 or 66 entries each.
TEST(MaglevTest, BalanceOfAThousand) {
  const auto slots = BuildMaglevTable(MakeMembers(1000, 65537), 65537);
  std::map<uint16_t, int> count;
  for (const uint16_t id : slots) ++count[id];
  for (const auto& [id, n] : count) EXPECT_TRUE(n == 65 || n == 66) << id << ": " << n;
}

// Share of the slots that changed although their backend did not fail.
double CollateralPercent(int backends, int failed, uint32_t m) {
  auto members = MakeMembers(backends, m);
  const auto before = BuildMaglevTable(members, m);
  members.erase(members.begin(), members.begin() + failed);
  const auto after = BuildMaglevTable(members, m);
  int moved = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] >= failed && before[i] != after[i]) ++moved;
  }
  return 100.0 * moved / m;
}

// The disruption curve of the paper's figure 12, as reproduced for FIELD.md: failures of 0.1, 0.5, 1.0, 2.5 %.
TEST(MaglevTest, DisruptionCurve) {
  EXPECT_NEAR(CollateralPercent(1000, 1, 65537), 0.577, 0.3);
  EXPECT_NEAR(CollateralPercent(1000, 5, 65537), 1.81, 0.5);
  EXPECT_NEAR(CollateralPercent(1000, 10, 65537), 2.33, 0.5);
  EXPECT_NEAR(CollateralPercent(1000, 25, 65537), 2.85, 0.5);
  EXPECT_NEAR(CollateralPercent(1000, 10, 655373), 0.576, 0.2);
}

TEST(IsPrimeTest, Small) {
  std::set<uint32_t> primes;
  for (uint32_t n = 0; n < 30; ++n) {
    if (IsPrime(n)) primes.insert(n);
  }
  EXPECT_EQ(primes, (std::set<uint32_t>{2, 3, 5, 7, 11, 13, 17, 19, 23, 29}));
  EXPECT_TRUE(IsPrime(65537));
  EXPECT_TRUE(IsPrime(655373));
  EXPECT_FALSE(IsPrime(65536));
  EXPECT_FALSE(IsPrime(251u * 257u));
}

}  // namespace
}  // namespace sluice::lb
