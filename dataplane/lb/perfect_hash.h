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
// Numbers fall into buckets of four or fewer on average by the lower half of a product of 128 bits, and the upper half
// says how far from the bucket's start a number's slot is. Where buckets start, so that nobody else has these slots, is
// found by trial when the table is built, the largest buckets first (hash and displace: Fox, Heath, Chen and Daoud
// 1992). Not keyed: for what comes from the configuration.
template <typename Slot>
class PerfectHash {
  // So that some bits of a product are how many bytes a slot is away.
  static_assert(std::has_single_bit(sizeof(Slot)));

 public:
  // What SlotOf reads. Copied by loops over packets, as ExactVips::Finder.
  class Finder {
   public:
    // Of a number that is not in the set, any slot.
    const Slot* SlotOf(uint64_t number) const {
      const Product product(number, mix_);
      const char* const start = starts_[product.lower >> bucket_shift_];
      return reinterpret_cast<const Slot*>(start + (product.upper & distances_));
    }

   private:
    friend PerfectHash;
    uint64_t mix_ = 0x9e37'79b9'7f4a'7c15;
    uint64_t distances_;         // those bits of the upper half that are a distance, in bytes
    const char* const* starts_;  // by bucket
    int bucket_shift_;
  };

  // `numbers`: all different.
  explicit PerfectHash(const std::vector<uint64_t>& numbers)
      : starts_(std::bit_ceil(std::max(kFewBuckets, numbers.size() / 4 + 1))) {
    finder_.starts_ = starts_.data();
    finder_.bucket_shift_ = 64 - std::countr_zero(starts_.size());
    // Buckets start in the first half of the slots, and a number's is less than as many further on.
    size_t starts = std::bit_ceil(numbers.size() + 1);
    // With most mixes two numbers of some bucket have the same distance, or numbers that are alike crowd into few
    // buckets. Should all fail, there is room in twice as many slots.
    constexpr int kMixes = 64;
    for (int mixes = 0;; ++mixes, finder_.mix_ = Next(finder_.mix_)) {
      if (mixes == kMixes) {
        starts *= 2;
        mixes = 0;
      }
      slots_.resize(2 * starts);
      finder_.distances_ = (starts - 1) * sizeof(Slot);
      if (Place(numbers, starts)) return;
    }
  }
  // Finders point into it.
  PerfectHash(const PerfectHash&) = delete;
  PerfectHash& operator=(const PerfectHash&) = delete;

  const Finder& finder() const { return finder_; }
  Slot& SlotOf(uint64_t number) { return slots_[static_cast<size_t>(finder_.SlotOf(number) - slots_.data())]; }
  const std::vector<Slot>& slots() const { return slots_; }

 private:
  // With fewer, small numbers that differ by little could have the same bucket and distance with any mix.
  static constexpr size_t kFewBuckets = 128;

  struct Product {
    Product(uint64_t a, uint64_t b) {
      const auto product = static_cast<unsigned __int128>(a) * b;
      upper = static_cast<uint64_t>(product >> 64);
      lower = static_cast<uint64_t>(product);
    }
    uint64_t upper, lower;
  };

  // Of odd numbers, in an order without a pattern.
  static uint64_t Next(uint64_t odd) { return odd * 0xd134'2543'de82'ef95 + 2; }

  struct Entry {
    size_t bucket;
    size_t distance;  // in slots
    auto operator<=>(const Entry&) const = default;
  };
  struct Bucket {
    typename std::vector<Entry>::const_iterator first, last;
    auto size() const { return last - first; }
  };

  // False: two of a bucket have one slot, or a bucket found no start.
  bool Place(const std::vector<uint64_t>& numbers, size_t starts) {
    std::vector<Entry> entries;
    for (const uint64_t number : numbers) {
      const Product product(number, finder_.mix_);
      entries.push_back({.bucket = static_cast<size_t>(product.lower >> finder_.bucket_shift_),
                         .distance = static_cast<size_t>(product.upper & finder_.distances_) / sizeof(Slot)});
    }
    std::sort(entries.begin(), entries.end());
    if (std::adjacent_find(entries.begin(), entries.end()) != entries.end()) return false;
    std::vector<Bucket> buckets;
    for (auto first = entries.cbegin(); first != entries.cend();) {
      const auto last =
          std::find_if(first, entries.cend(), [=](const Entry& each) { return each.bucket != first->bucket; });
      buckets.push_back({first, last});
      first = last;
    }
    std::stable_sort(buckets.begin(), buckets.end(),
                     [](const Bucket& a, const Bucket& b) { return a.size() > b.size(); });
    std::fill(starts_.begin(), starts_.end(), reinterpret_cast<const char*>(slots_.data()));
    std::vector<bool> taken(slots_.size());
    return std::all_of(buckets.begin(), buckets.end(),
                       [&](const Bucket& bucket) { return PlaceBucket(bucket, starts, taken); });
  }

  bool PlaceBucket(const Bucket& bucket, size_t starts, std::vector<bool>& taken) {
    // All of them, in an order without a pattern.
    for (size_t trial = 0; trial < starts; ++trial) {
      const size_t start = (trial + bucket.first->bucket) * 0x9e37'79b9 % starts;
      const auto is_taken = [&](const Entry& entry) { return taken[start + entry.distance]; };
      if (std::any_of(bucket.first, bucket.last, is_taken)) continue;
      std::for_each(bucket.first, bucket.last, [&](const Entry& entry) { taken[start + entry.distance] = true; });
      starts_[bucket.first->bucket] = reinterpret_cast<const char*>(&slots_[start]);
      return true;
    }
    return false;
  }

  std::vector<const char*> starts_;  // a power of two
  std::vector<Slot> slots_;          // a power of two
  Finder finder_;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_PERFECT_HASH_H_
