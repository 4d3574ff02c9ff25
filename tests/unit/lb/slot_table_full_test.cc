#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "dataplane/lb/slot_table.h"

// Long: a table with all the connections that it is made for.
namespace sluice::lb {
namespace {

constexpr uint32_t kConnections = 10'000'000;
const VipId kVip(3);

// As a keyed hash gives them, and none twice: the finalizer of SplitMix64 (Steele, Lea, Flood 2014), a permutation.
uint64_t HashOf(uint64_t connection) {
  uint64_t x = (connection + 1) * 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

// What of the memory is in RAM, by whole pages; mincore(2).
double ResidentBytes(void* memory, size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  EXPECT_EQ(mincore(memory, bytes, pages.data()), 0);
  const auto resident = std::count_if(pages.begin(), pages.end(), [](unsigned char each) { return (each & 1) != 0; });
  return static_cast<double>(resident) * static_cast<double>(page);
}

TEST(FullSlotTableTest, TenMillionConnectionsAreResidentInWhatIsDocumented) {
  const size_t bytes = SlotTable::BytesFor(kConnections);
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  madvise(memory, bytes, MADV_NOHUGEPAGE);  // else what nobody touches may be resident
  std::vector<uint8_t> slots(kConnections, 1);
  EXPECT_EQ(ResidentBytes(memory, bytes), 0);
  SlotTable table(memory, kConnections);
  uint32_t full_blocks = 0;
  for (uint32_t i = 0; i < kConnections; ++i) {
    const auto slot = table.Insert(HashOf(i), kVip, FlowState::kEstablished, 7);
    full_blocks += slot ? 0 : 1;
    slots[i] = slot.value_or(0);
  }
  const double resident = ResidentBytes(memory, bytes);
  std::printf("%u connections: %.1f MB resident, %.2f bytes each; %u found their block full\n", kConnections,
              resident / 1e6, resident / kConnections, full_blocks);
  EXPECT_NEAR(resident, 440.2e6, 4.4e6) << "COOKIES.md, \"Slots\", says 440 MB";
  EXPECT_LT(full_blocks, kConnections / 1'000'000);
  EXPECT_EQ(table.in_use(), kConnections - full_blocks);
  uint32_t found = 0;
  for (uint32_t i = 0; i < kConnections; ++i) found += table.Find(HashOf(i), kVip, slots[i]) != nullptr ? 1 : 0;
  EXPECT_EQ(found, kConnections - full_blocks);
  munmap(memory, bytes);
}

}  // namespace
}  // namespace sluice::lb
