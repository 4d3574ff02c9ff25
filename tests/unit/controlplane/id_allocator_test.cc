#include "controlplane/model/id_allocator.h"

#include <gtest/gtest.h>

namespace sluice::model {
namespace {

bool Never(uint64_t) { return false; }
bool Always(uint64_t) { return true; }

TEST(IdAllocator, GivesDenseIdsWithGenerationOne) {
  IdAllocator ids(3);
  for (uint16_t expected = 0; expected < 3; ++expected) {
    const auto id = ids.Allocate(Never);
    ASSERT_TRUE(id.has_value());
    EXPECT_EQ(id->id, expected);
    EXPECT_EQ(id->generation, 1);
  }
  EXPECT_FALSE(ids.Allocate(Always).has_value());
  EXPECT_EQ(ids.used(), 3u);
}

TEST(IdAllocator, PrefersIdsNeverUsed) {
  IdAllocator ids(3);
  ASSERT_TRUE(ids.Allocate(Never).has_value());
  ids.Release(0, 5);
  EXPECT_EQ(ids.Allocate(Always)->id, 1);
  EXPECT_EQ(ids.Allocate(Always)->id, 2);
  EXPECT_EQ(ids.Allocate(Always)->id, 0);
}

TEST(IdAllocator, QuarantinedIdWaitsForItsOwnGeneration) {
  IdAllocator ids(2);
  ids.Allocate(Never);
  ids.Allocate(Never);
  ids.Release(1, 7);
  ids.Release(0, 9);
  EXPECT_EQ(ids.used(), 0u);
  EXPECT_EQ(ids.quarantined(), 2u);
  uint64_t swept = 6;
  const auto is_free = [&](uint64_t absent_since) { return swept >= absent_since; };
  EXPECT_FALSE(ids.Allocate(is_free).has_value());
  swept = 7;
  const auto first = ids.Allocate(is_free);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->id, 1);
  EXPECT_EQ(first->generation, 2);
  EXPECT_FALSE(ids.Allocate(is_free).has_value());
  swept = 9;
  EXPECT_EQ(ids.Allocate(is_free)->id, 0);
  EXPECT_EQ(ids.quarantined(), 0u);
  EXPECT_EQ(ids.used(), 2u);
}

TEST(IdAllocator, GenerationsOfAnIdDiffer) {
  IdAllocator ids(1);
  uint16_t last = ids.Allocate(Never)->generation;
  for (uint64_t i = 1; i < 70000; ++i) {
    ids.Release(0, i);
    const uint16_t next = ids.Allocate(Always)->generation;
    ASSERT_NE(next, last);
    last = next;
  }
}

TEST(IdAllocator, CopyIsIndependent) {
  IdAllocator ids(4);
  ids.Allocate(Never);
  IdAllocator copy = ids;
  copy.Allocate(Never);
  EXPECT_EQ(ids.used(), 1u);
  EXPECT_EQ(copy.used(), 2u);
}

}  // namespace
}  // namespace sluice::model
