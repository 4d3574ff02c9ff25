#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/check.h"
#include "dataplane/base/counter.h"
#include "dataplane/base/cpu_list.h"
#include "dataplane/base/drop_reason.h"
#include "dataplane/base/ids.h"
#include "dataplane/base/log.h"
#include "dataplane/base/periodic_thread.h"

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

TEST(CpuList, WritesRanges) {
  EXPECT_EQ(CpuListText({}), "");
  EXPECT_EQ(CpuListText({3}), "3");
  EXPECT_EQ(CpuListText({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
  EXPECT_EQ(CpuListText({5, 2}), "5,2");
}

TEST(CpuList, ReadsWhatTheKernelWrites) {
  using Cpus = std::vector<uint32_t>;
  EXPECT_EQ(ParseCpuList(""), Cpus{});
  EXPECT_EQ(ParseCpuList("\n"), Cpus{});
  EXPECT_EQ(ParseCpuList(" 0-2,5,7-8\n"), (Cpus{0, 1, 2, 5, 7, 8}));
  for (const char* wrong : {"a", "1-", "-1", "3-1", "1,", "1 2", "0-4294967295", "4294967296"}) {
    EXPECT_FALSE(ParseCpuList(wrong).has_value()) << wrong;
  }
}

// What a line of the log looks like when `stream` is JOURNAL_STREAM ("" stands for the right one).
std::string LoggedLine(std::string stream) {
  std::FILE* const file = std::tmpfile();
  struct stat info {};
  fstat(fileno(file), &info);
  if (stream.empty()) stream = std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  setenv("JOURNAL_STREAM", stream.c_str(), 1);
  const int before = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  WriteLogLine(LogLevel::kWarning, "two\nlines");
  dup2(before, STDERR_FILENO);
  close(before);
  unsetenv("JOURNAL_STREAM");
  std::rewind(file);
  std::array<char, 200> line{};
  const size_t length = std::fread(line.data(), 1, line.size(), file);
  std::fclose(file);
  return {line.data(), length};
}

TEST(Log, GivesTheJournalPrioritiesInsteadOfTimes) {
  EXPECT_EQ(LoggedLine(""), "<4>two\\nlines\n");
  const std::string elsewhere = LoggedLine("1:2");
  EXPECT_EQ(elsewhere.substr(elsewhere.find('Z')), "Z WARNING two\\nlines\n");
}

TEST(PeriodicThreadTest, CallsUntilItIsDestroyedAndWaitsForTheLastCall) {
  std::atomic<int> calls = 0;
  std::atomic<int> under_way = 0;
  {
    const PeriodicThread thread("sluice-test", std::chrono::milliseconds(1), [&] {
      ++under_way;
      ++calls;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      --under_way;
    });
    while (calls < 3) std::this_thread::yield();
  }
  EXPECT_EQ(under_way, 0);
  const int made = calls;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(calls, made);
}

TEST(PeriodicThreadTest, EndsWithoutACallWhenItsTimeHasNotCome) {
  int calls = 0;
  {
    const PeriodicThread thread("sluice-test", std::chrono::hours(1), [&] { ++calls; });
  }
  EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace sluice
