#include "dataplane/lb/slot_table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

namespace sluice::lb {
namespace {

struct Free {
  void operator()(void* block) const { std::free(block); }
};

class Table {
 public:
  explicit Table(size_t connections) : memory_(Allocate(SlotTable::BytesFor(connections))) {
    table_.emplace(memory_.get(), connections);
  }
  SlotTable* operator->() { return &*table_; }

 private:
  static void* Allocate(size_t bytes) {
    const size_t whole = (bytes + 63) / 64 * 64;
    void* block = std::aligned_alloc(64, whole);
    std::memset(block, 0, whole);
    return block;
  }
  std::unique_ptr<void, Free> memory_;
  std::optional<SlotTable> table_;
};

constexpr FlowState kLives = FlowState::kEstablished;
const VipId kVip(3);

TEST(SlotTableTest, TenMillionConnectionsTakeWhatIsDocumented) {
  EXPECT_NEAR(static_cast<double>(SlotTable::BytesFor(10'000'000)), 440.2e6, 0.2e6);
}

TEST(SlotTableTest, FindsWhatWasInsertedByHashAndSlotOnly) {
  Table table(1000);
  const uint64_t hash = 0x1234'5678'9abc'def0;
  const auto slot = table->Insert(hash, kVip, kLives, 70'000);
  ASSERT_TRUE(slot);
  ConnectionSlot* found = table->Find(hash, kVip, *slot);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->began_s, 70'000u);
  EXPECT_EQ(found->IdleSeconds(70'010), 10u);
  EXPECT_EQ(found->packets, 0u);
  EXPECT_FALSE(found->backend.valid());
  // What a client makes up is not the slot's connection: another slot, another tuple of the same block, another VIP.
  EXPECT_EQ(table->Find(hash, kVip, static_cast<uint8_t>(*slot + 1)), nullptr);
  EXPECT_EQ(table->Find(hash ^ uint64_t{1} << 63, kVip, *slot), nullptr);
  EXPECT_EQ(table->Find(hash, VipId(4), *slot), nullptr);
  table->Remove(*found);
  EXPECT_EQ(table->Find(hash, kVip, *slot), nullptr);
  EXPECT_EQ(table->in_use(), 0u);
}

TEST(SlotTableTest, TheSlotThatWasFreedLastIsTakenFirst) {
  Table table(1);
  std::vector<uint8_t> slots;
  for (uint64_t i = 0; i < 5; ++i) slots.push_back(*table->Insert(i, kVip, kLives, 1));
  table->Remove(*table->Find(1, kVip, slots[1]));
  table->Remove(*table->Find(3, kVip, slots[3]));
  EXPECT_EQ(table->Insert(10, kVip, kLives, 1), slots[3]);
  EXPECT_EQ(table->Insert(11, kVip, kLives, 1), slots[1]);
  EXPECT_EQ(table->Insert(12, kVip, kLives, 1), 5);
}

TEST(SlotTableTest, AFullBlockTakesNoMoreAndLosesNothing) {
  Table table(1);
  ASSERT_EQ(table->slot_count(), SlotTable::kBlockSlots);
  std::map<uint64_t, uint8_t> held;
  std::set<uint8_t> distinct;
  for (uint64_t i = 0; i < SlotTable::kBlockSlots; ++i) {
    const auto slot = table->Insert(i, kVip, kLives, 1);
    ASSERT_TRUE(slot);
    held[i] = *slot;
    distinct.insert(*slot);
  }
  EXPECT_EQ(distinct.size(), SlotTable::kBlockSlots);
  EXPECT_FALSE(table->Insert(1000, kVip, kLives, 1));
  for (const auto& [hash, slot] : held) EXPECT_NE(table->Find(hash, kVip, slot), nullptr);
}

TEST(SlotTableTest, WithoutConnectionsItHasNone) {
  Table table(0);
  EXPECT_EQ(SlotTable::BytesFor(0), 0u);
  table->Prefetch(1, 1);
  EXPECT_FALSE(table->Insert(1, kVip, kLives, 1));
  EXPECT_EQ(table->Find(1, kVip, 1), nullptr);
}

TEST(SlotTableTest, SizedForItsConnectionsItHasRoomForThem) {
  constexpr size_t kConnections = 200'000;
  Table table(kConnections);
  std::mt19937_64 random(5);
  size_t refused = 0;
  for (size_t i = 0; i < kConnections; ++i) refused += table->Insert(random(), kVip, kLives, 1) ? 0 : 1;
  // Fewer than one in a million in the mean.
  EXPECT_LE(refused, 3u);
}

TEST(SlotTableTest, SweepEndsWhatIsOver) {
  Table table(2000);
  std::mt19937_64 random(6);
  std::vector<std::pair<uint64_t, uint8_t>> old;
  std::vector<std::pair<uint64_t, uint8_t>> young;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t hash = random();
    const uint32_t began = i % 2 == 0 ? 100 : 160;
    (i % 2 == 0 ? old : young).emplace_back(hash, *table->Insert(hash, kVip, kLives, began));
  }
  const auto is_over = [](const ConnectionSlot& slot) { return slot.IdleSeconds(165) >= 60; };
  for (size_t first = 0; first < table->slot_count(); first += 64) table->Sweep(first, 64, is_over);
  EXPECT_EQ(table->in_use(), young.size());
  for (const auto& [hash, slot] : old) EXPECT_EQ(table->Find(hash, kVip, slot), nullptr);
  for (const auto& [hash, slot] : young) EXPECT_NE(table->Find(hash, kVip, slot), nullptr);
}

// A map of connections is the oracle: the table says the same after every one of many random steps.
TEST(SlotTableTest, AgreesWithAMap) {
  struct Known {
    uint8_t slot;
    uint64_t bytes;
    BackendId backend;
  };
  Table table(1500);
  std::map<std::pair<uint64_t, uint16_t>, Known> known;
  std::mt19937_64 random(7);
  size_t refused = 0;
  for (uint32_t step = 0; step < 60'000; ++step) {
    if (random() % 2 == 0 || known.empty()) {
      const std::pair key(random(), static_cast<uint16_t>(random() % 3));
      const auto slot = table->Insert(key.first, VipId(key.second), kLives, step);
      if (!slot) {
        ++refused;
        continue;
      }
      const BackendId backend(static_cast<uint16_t>(random() % 100));
      ConnectionSlot* found = table->Find(key.first, VipId(key.second), *slot);
      ASSERT_NE(found, nullptr);
      found->backend = backend;
      known[key] = {.slot = *slot, .bytes = 0, .backend = backend};
    } else {
      auto it = known.lower_bound({random(), 0});
      if (it == known.end()) it = known.begin();
      ConnectionSlot* found = table->Find(it->first.first, VipId(it->first.second), it->second.slot);
      ASSERT_NE(found, nullptr);
      ASSERT_EQ(found->backend, it->second.backend);
      ASSERT_EQ(found->bytes, it->second.bytes);
      if (random() % 4 != 0 && known.size() < 1800) {
        found->bytes += step;
        it->second.bytes += step;
      } else {
        table->Remove(*found);
        known.erase(it);
      }
    }
    ASSERT_EQ(table->in_use(), known.size());
  }
  // The table was full at times, and every connection is still there.
  EXPECT_GT(refused, 0u);
  for (const auto& [key, one] : known) EXPECT_NE(table->Find(key.first, VipId(key.second), one.slot), nullptr);
}

}  // namespace
}  // namespace sluice::lb
