#include "dataplane/lb/perfect_hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <set>
#include <vector>

namespace sluice::lb {
namespace {

struct Slot {
  uint64_t number;
};
using SlotHash = PerfectHash<Slot>;

size_t SlotOf(const SlotHash& hash, uint64_t number) {
  return static_cast<size_t>(hash.finder().SlotOf(number) - hash.slots().data());
}

void ExpectSlotsOfTheirOwn(const std::vector<uint64_t>& numbers) {
  const SlotHash hash(numbers);
  // That is, a quarter of them at least is in use, and a mix was found before it took twice as many.
  EXPECT_LE(hash.slots().size(), 2 * std::bit_ceil(numbers.size() + 1));
  std::set<size_t> slots;
  for (const uint64_t number : numbers) {
    const size_t slot = SlotOf(hash, number);
    EXPECT_LT(slot, hash.slots().size());
    EXPECT_TRUE(slots.insert(slot).second) << number;
  }
}

TEST(PerfectHashTest, GivesEachNumberASlotOfItsOwn) {
  std::mt19937_64 random(7);
  // Of 4095 both slots and buckets are as full as they get.
  for (const size_t count : {0u, 1u, 2u, 3u, 7u, 64u, 1000u, 4095u, 10'000u}) {
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
  const SlotHash hash({1, 2, 3});
  std::mt19937_64 random(7);
  for (int i = 0; i < 1000; ++i) EXPECT_LT(SlotOf(hash, random()), hash.slots().size());
}

}  // namespace
}  // namespace sluice::lb
