#include "dataplane/lb/perfect_hash.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace sluice::lb {
namespace {

void ExpectSlotsOfTheirOwn(const std::vector<uint64_t>& numbers) {
  const PerfectHash hash(numbers);
  // That is, a quarter of them at least is in use.
  EXPECT_LE(hash.slot_count(), 4 * numbers.size() + 4);
  std::set<size_t> slots;
  for (const uint64_t number : numbers) {
    const size_t slot = hash.finder().SlotOf(number);
    EXPECT_LT(slot, hash.slot_count());
    EXPECT_TRUE(slots.insert(slot).second) << number;
  }
}

TEST(PerfectHashTest, GivesEachNumberASlotOfItsOwn) {
  std::mt19937_64 random(7);
  for (const size_t count : {0u, 1u, 2u, 3u, 7u, 64u, 1000u, 10'000u}) {
    std::vector<uint64_t> numbers(count);
    for (uint64_t& number : numbers) number = random();
    ExpectSlotsOfTheirOwn(numbers);
  }
}

TEST(PerfectHashTest, AlsoOfNumbersThatAreAlike) {
  for (int shift = 0; shift <= 52; ++shift) {
    std::vector<uint64_t> numbers;
    for (uint64_t i = 0; i < 1000; ++i) numbers.push_back(i << shift);
    ExpectSlotsOfTheirOwn(numbers);
  }
}

TEST(PerfectHashTest, OfANumberThatItDoesNotHaveSomeSlot) {
  const PerfectHash hash({1, 2, 3});
  std::mt19937_64 random(7);
  for (int i = 0; i < 1000; ++i) EXPECT_LT(hash.finder().SlotOf(random()), hash.slot_count());
}

}  // namespace
}  // namespace sluice::lb
