#ifndef SLUICE_DATAPLANE_LB_PERFECT_HASH_H_
#define SLUICE_DATAPLANE_LB_PERFECT_HASH_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::lb {

// Gives each of a fixed set of numbers a slot of its own, so that a look-up looks at one slot only and has no loop, of
// which no CPU can tell how often it runs: with linear probing at a load of one half a packet of IPv6 in two paid for
// that, with as much as all its checks together (row ipv6).
//
// Numbers fall into buckets of four or fewer by the upper bits of a product; each bucket has a multiplier that takes
// its numbers to slots which nobody else has, found by trial when the table is built, the largest buckets first (hash
// and displace: Fox, Heath, Chen and Daoud 1992). Not keyed: for what comes from the configuration.
class PerfectHash {
 public:
  // What SlotOf reads. Copied by loops over packets, as ExactVips::Finder.
  class Finder {
   public:
    explicit Finder(const PerfectHash& hash)
        : mix_(hash.mix_),
          multipliers_(hash.multipliers_.data()),
          bucket_shift_(64 - std::countr_zero(hash.multipliers_.size())),
          slot_shift_(64 - std::countr_zero(hash.slot_count_)) {}

    // Of a number that is not in the set, any slot.
    size_t SlotOf(uint64_t number) const {
      const uint64_t mixed = number * mix_;
      return static_cast<size_t>(mixed * multipliers_[mixed >> bucket_shift_] >> slot_shift_);
    }

   private:
    uint64_t mix_;
    const uint64_t* multipliers_;
    int bucket_shift_;
    int slot_shift_;
  };

  // `numbers`: all different.
  explicit PerfectHash(const std::vector<uint64_t>& numbers)
      : multipliers_(std::bit_ceil(numbers.size() / 4 + 2)), slot_count_(std::bit_ceil(2 * numbers.size() + 2)) {
    // Numbers that are alike may crowd into a few buckets with one mix, and then hardly do with the next. Should all
    // fail, there is room in twice as many slots.
    constexpr int kMixes = 16;
    for (int mixes = 1; !Place(numbers); ++mixes) {
      mix_ = Next(mix_);
      if (mixes % kMixes == 0) slot_count_ *= 2;
    }
  }

  Finder finder() const { return Finder(*this); }
  size_t slot_count() const { return slot_count_; }

 private:
  // Of odd numbers, in an order without a pattern.
  static uint64_t Next(uint64_t odd) { return odd * 0xd134'2543'de82'ef95 + 2; }

  struct Bucket {
    size_t number;
    std::vector<uint64_t>::const_iterator first, last;
    auto size() const { return last - first; }
  };

  // False: a bucket found no multiplier.
  bool Place(std::vector<uint64_t> numbers) {
    for (uint64_t& number : numbers) number *= mix_;
    std::sort(numbers.begin(), numbers.end());
    const int bucket_shift = 64 - std::countr_zero(multipliers_.size());
    std::vector<Bucket> buckets;
    for (auto first = numbers.cbegin(); first != numbers.cend();) {
      const size_t number = *first >> bucket_shift;
      const auto last =
          std::find_if(first, numbers.cend(), [=](uint64_t each) { return each >> bucket_shift != number; });
      buckets.push_back({number, first, last});
      first = last;
    }
    std::stable_sort(buckets.begin(), buckets.end(),
                     [](const Bucket& a, const Bucket& b) { return a.size() > b.size(); });
    std::vector<bool> taken(slot_count_);
    return std::all_of(buckets.begin(), buckets.end(),
                       [&](const Bucket& bucket) { return PlaceBucket(bucket, taken); });
  }

  bool PlaceBucket(const Bucket& bucket, std::vector<bool>& taken) {
    constexpr int kTrials = 4096;
    const int slot_shift = 64 - std::countr_zero(slot_count_);
    uint64_t multiplier = mix_;
    for (int trial = 0; trial < kTrials; ++trial, multiplier = Next(multiplier)) {
      const auto place_of = [&](uint64_t mixed) { return taken[mixed * multiplier >> slot_shift]; };
      auto at = bucket.first;
      for (; at != bucket.last && !place_of(*at); ++at) place_of(*at) = true;
      if (at == bucket.last) {
        multipliers_[bucket.number] = multiplier;
        return true;
      }
      while (at != bucket.first) place_of(*--at) = false;
    }
    return false;
  }

  uint64_t mix_ = 0x9e37'79b9'7f4a'7c15;
  std::vector<uint64_t> multipliers_;  // by bucket; a power of two
  size_t slot_count_;                  // a power of two
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_PERFECT_HASH_H_
