#include <gtest/gtest.h>

#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/check.h"
#include "dataplane/base/counter.h"
#include "dataplane/base/drop_reason.h"
#include "dataplane/base/ids.h"
#include "dataplane/base/log.h"

namespace sluice {
namespace {

TEST(StrongIdTest, IsInvalidUntilSet) {
  EXPECT_FALSE(VipId().valid());
  EXPECT_TRUE(VipId(0).valid());
  EXPECT_EQ(VipId(7).index(), 7u);
}

TEST(StrongIdTest, DoesNotConvert) {
  static_assert(!std::is_convertible_v<VipId, BackendId>);
  static_assert(!std::is_convertible_v<uint16_t, VipId>);
  static_assert(!std::is_convertible_v<VipId, uint16_t>);
  std::unordered_map<BackendId, int> map{{BackendId(3), 1}};
  EXPECT_EQ(map.count(BackendId(3)), 1u);
}

TEST(ByteOrderTest, HostAndRawDifferByASwap) {
  EXPECT_EQ(Be16::FromHost(0x1234).raw(), 0x3412);
  EXPECT_EQ(Be32::FromRaw(0x78563412).Host(), 0x12345678u);
  EXPECT_EQ(Be64::FromHost(0x0102030405060708).raw(), 0x0807060504030201u);
  static_assert(!std::is_convertible_v<uint16_t, Be16>);
  static_assert(!std::is_convertible_v<Be16, uint16_t>);
}

TEST(CounterTest, Adds) {
  Counter counter;
  counter.Add(5);
  counter.Increment();
  EXPECT_EQ(counter.Value(), 6u);
}

TEST(DropReasonTest, LabelsAreUniqueSnakeCaseAndExplained) {
  std::set<std::string> labels;
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    const auto reason = static_cast<DropReason>(i);
    const std::string label(DropReasonLabel(reason));
    EXPECT_TRUE(labels.insert(label).second) << label;
    EXPECT_EQ(label.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string::npos) << label;
    EXPECT_FALSE(DropReasonHelp(reason).empty()) << label;
    EXPECT_NE(DropReasonHelp(reason).back(), '.') << label;
  }
}

TEST(LogTest, KeepsForeignTextOnOneLine) {
  testing::internal::CaptureStderr();
  SLUICE_LOG(kInfo) << "name \n2026 ERROR forged\x1b[31m";
  const std::string out = testing::internal::GetCapturedStderr();
  EXPECT_NE(out.find(" INFO name \\n2026 ERROR forged?[31m\n"), std::string::npos) << out;
  EXPECT_EQ(out.find('\n'), out.size() - 1);
}

TEST(LogTest, DiscardsBelowTheLevel) {
  testing::internal::CaptureStderr();
  SLUICE_LOG(kDebug) << "hidden";
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(LogRateLimitTest, CountsWhatItHeldBack) {
  LogRateLimit once(3'600'000);
  uint64_t suppressed = 0;
  EXPECT_TRUE(once.Allow(&suppressed));
  EXPECT_EQ(suppressed, 0u);
  EXPECT_FALSE(once.Allow(&suppressed));
  LogRateLimit always(0);
  EXPECT_TRUE(always.Allow(&suppressed));
  EXPECT_TRUE(always.Allow(&suppressed));
}

TEST(CheckDeathTest, NamesTheCondition) { EXPECT_DEATH(SLUICE_CHECK(1 == 2), "check failed: 1 == 2"); }

}  // namespace
}  // namespace sluice
