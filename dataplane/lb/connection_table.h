#ifndef SLUICE_DATAPLANE_LB_CONNECTION_TABLE_H_
#define SLUICE_DATAPLANE_LB_CONNECTION_TABLE_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/check.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/lb/connection_entry.h"

namespace sluice::lb {

// The connections of one worker: a hash table of buckets of one cache line each. A connection lies in its first bucket
// (from the flow hash) or, when that was full, in its second; a count in the first tells whether anything had to go to
// the second, so that a lookup reads one line in nearly all cases. When both are full, one entry of theirs is moved to
// its own other bucket. When that cannot be either, the insertion fails and the flow goes by the hash alone: nothing
// that lives is evicted.
//
// Sized for half of the slots in use, 32 bytes (IPv4), 64 (IPv6) or 128 (wide) per connection, so that few buckets
// overflow.
template <typename Entry>
class ConnectionTable {
 public:
  using Key = decltype(Entry::key);
  static constexpr size_t kCacheLine = 64;
  static constexpr size_t kWays = kCacheLine / sizeof(Entry);
  using Entries = std::array<Entry, kWays>;

  static constexpr size_t BucketsFor(size_t connections) {
    return std::max<size_t>(1, (connections * 2 + kWays - 1) / kWays);
  }
  static constexpr size_t BytesFor(size_t connections) { return BucketsFor(connections) * sizeof(Bucket); }

  // `memory`: BytesFor(connections) bytes, zeroed, aligned to 64, that outlive the table.
  ConnectionTable(void* memory, size_t connections)
      : buckets_(static_cast<Bucket*>(memory)), bucket_count_(BucketsFor(connections)), capacity_(connections) {
    SLUICE_CHECK(reinterpret_cast<uintptr_t>(memory) % kCacheLine == 0);
    SLUICE_CHECK(bucket_count_ <= UINT32_MAX);
  }

  size_t bucket_count() const { return bucket_count_; }
  size_t capacity() const { return capacity_; }

  void Prefetch(uint64_t hash) const { PrefetchLine(&buckets_[FirstBucket(hash)]); }

  // The entries of the bucket where nearly every connection of the hash lies: what FindWanted (lb/find_known.h) looks
  // at.
  Entries& FirstEntries(uint64_t hash) { return buckets_[FirstBucket(hash)].entries; }

  // FirstEntries for a loop over packets, which reads once where the buckets are: see ExactVips::Finder.
  class Finder;
  Finder finder() { return Finder(buckets_, bucket_count_); }

  // Those where the rest lie. Null: nothing that belongs in the first bucket lies elsewhere.
  Entries* SecondEntries(const Key& key, uint64_t hash) {
    const size_t first = FirstBucket(hash);
    return buckets_[first].overflow() == 0 ? nullptr : &buckets_[SecondBucket(key, first)].entries;
  }

  // The entries of the connection's second bucket, whatever they are.
  const Entries& EntriesOfSecond(const Key& key, uint64_t hash) const {
    return buckets_[SecondBucket(key, FirstBucket(hash))].entries;
  }

  // Whether connections that belong in the bucket with these entries lie in their second one.
  static bool Overflows(const Entries& entries) { return (entries[0].value.state_bits & kBucketBits) != 0; }

  // The connection's entry, or null. `hash` is the flow hash of the same packet.
  Entry* Find(const Key& key, uint64_t hash) {
    const size_t first = FirstBucket(hash);
    Bucket& bucket = buckets_[first];
    if (Entry* found = FindIn(bucket, key)) return found;
    if (bucket.overflow() == 0) [[likely]] {
      return nullptr;
    }
    return FindIn(buckets_[SecondBucket(key, first)], key);
  }

  // Makes an entry for a key that has none; the caller sets backend, generation and state. `ended(entry)` is asked
  // about entries that are in the way: true ends one, so the caller counts it then. Null when both buckets are full of
  // the living.
  template <typename Ended>
  Entry* Insert(const Key& key, uint64_t hash, uint32_t now_s, Ended&& ended) {
    const size_t first = FirstBucket(hash);
    if (Entry* slot = TakeSlot(first, ended)) return Fill(*slot, key, now_s, false);
    const size_t second = SecondBucket(key, first);
    if (second == first) return nullptr;
    Entry* slot = TakeSlot(second, ended);
    if (slot == nullptr) {
      if (Entry* room = MakeRoom(first)) return Fill(*room, key, now_s, false);
      slot = MakeRoom(second);
      if (slot == nullptr) return nullptr;
    }
    buckets_[first].CountOverflow(+1);
    return Fill(*slot, key, now_s, true);
  }

  // Looks at the entries of `count` buckets from `first` on (first + count <= bucket_count()) and ends those for which
  // `ended(entry)` is true.
  template <typename Ended>
  void Sweep(size_t first, size_t count, Ended&& ended) {
    for (size_t b = first; b < first + count; ++b) {
      for (Entry& entry : buckets_[b].entries) {
        if (entry.state() != FlowState::kFree && ended(entry)) Free(entry, b);
      }
    }
  }

 private:
  static constexpr uint8_t kInSecondBucket = 0x08;
  // The bits of state_bits that belong to the bucket rather than to the entry.
  static constexpr uint8_t kBucketBits = 0xf0;

  struct alignas(kCacheLine) Bucket {
    Entries entries;

    unsigned overflow() const { return entries[0].value.state_bits >> 4; }
    void CountOverflow(int by) {
      constexpr unsigned kStuck = 15;
      if (overflow() == kStuck) return;
      uint8_t& bits = entries[0].value.state_bits;
      bits = static_cast<uint8_t>(bits + by * 16);
    }
  };
  static_assert(sizeof(Bucket) == kCacheLine);

  // The lower half of the hash, scaled; the upper half chooses the Maglev slot.
  static size_t FirstBucket(uint64_t hash, size_t bucket_count) {
    return static_cast<size_t>(((hash & 0xffff'ffff) * bucket_count) >> 32);
  }
  size_t FirstBucket(uint64_t hash) const { return FirstBucket(hash, bucket_count_); }

  // An involution in `bucket`: from the second bucket it leads back to the first, which is how an entry that ends
  // there finds the bucket whose count it must lower.
  size_t SecondBucket(const Key& key, size_t bucket) const {
    const auto sum = static_cast<size_t>(((key.Mix() & 0xffff'ffff) * bucket_count_) >> 32);
    return sum >= bucket ? sum - bucket : sum + bucket_count_ - bucket;
  }

  static Entry* FindIn(Bucket& bucket, const Key& key) {
    for (Entry& entry : bucket.entries) {
      if (entry.key == key && entry.state() != FlowState::kFree) return &entry;
    }
    return nullptr;
  }

  template <typename Ended>
  Entry* TakeSlot(size_t b, Ended&& ended) {
    Bucket& bucket = buckets_[b];
    for (Entry& entry : bucket.entries) {
      if (entry.state() == FlowState::kFree) return &entry;
    }
    for (Entry& entry : bucket.entries) {
      if (!ended(entry)) continue;
      Free(entry, b);
      return &entry;
    }
    return nullptr;
  }

  // Moves one entry of a full bucket to its other bucket, if any of those has a free slot. At the intended fill this
  // turns one failed insertion in a hundred into one in a million.
  Entry* MakeRoom(size_t b) {
    for (Entry& entry : buckets_[b].entries) {
      const size_t other = SecondBucket(entry.key, b);
      for (Entry& slot : buckets_[other].entries) {
        if (slot.state() != FlowState::kFree) continue;
        const bool was_in_second = (entry.value.state_bits & kInSecondBucket) != 0;
        const uint8_t kept = slot.value.state_bits & kBucketBits;
        slot = entry;
        slot.value.state_bits =
            static_cast<uint8_t>(kept | static_cast<uint8_t>(entry.state()) | (was_in_second ? 0 : kInSecondBucket));
        buckets_[was_in_second ? other : b].CountOverflow(was_in_second ? -1 : +1);
        entry.value.state_bits &= kBucketBits;
        return &entry;
      }
    }
    return nullptr;
  }

  static Entry* Fill(Entry& entry, const Key& key, uint32_t now_s, bool in_second) {
    entry.key = key;
    entry.value.last_seen_s = static_cast<uint16_t>(now_s);
    entry.value.state_bits =
        static_cast<uint8_t>((entry.value.state_bits & kBucketBits) | (in_second ? kInSecondBucket : 0));
    return &entry;
  }

  void Free(Entry& entry, size_t bucket) {
    if ((entry.value.state_bits & kInSecondBucket) != 0) buckets_[SecondBucket(entry.key, bucket)].CountOverflow(-1);
    entry.value.state_bits &= kBucketBits;
  }

  Bucket* buckets_;
  size_t bucket_count_;
  size_t capacity_;
};

template <typename Entry>
class ConnectionTable<Entry>::Finder {
 public:
  Finder(Bucket* buckets, size_t bucket_count) : buckets_(buckets), bucket_count_(bucket_count) {}

  Entries& FirstEntries(uint64_t hash) const { return buckets_[FirstBucket(hash, bucket_count_)].entries; }

 private:
  Bucket* buckets_;
  size_t bucket_count_;
};

using ConnectionTableV4 = ConnectionTable<ConnectionEntryV4>;
using ConnectionTableV6 = ConnectionTable<ConnectionEntryV6>;
using ConnectionTableWide = ConnectionTable<ConnectionEntryWide>;

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_CONNECTION_TABLE_H_
