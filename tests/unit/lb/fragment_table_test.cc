#include "dataplane/lb/fragment_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <list>
#include <optional>
#include <random>
#include <set>
#include <vector>

namespace sluice::lb {
namespace {

using Kind = FragmentVerdict::Kind;

constexpr uint64_t kKey = 0x1234;
constexpr uint32_t kTimeoutS = 5;
const FlowPorts kPorts = {.protocol = 6,
                          .source = Be16::FromHost(4000),
                          .destination = Be16::FromHost(53),
                          .echo = {.value = 0x12345678, .has_timestamps = true, .has_echo = true}};

// Distinct packets by number: families, addresses and protocols vary with it.
class Ids {
 public:
  FragmentId Of(uint32_t number) {
    bytes_[0] = 10;
    bytes_[3] = static_cast<uint8_t>(number / 4);
    return {.family = number % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6,
            .protocol = static_cast<uint8_t>(number % 4 < 2 ? 17 : 0),
            .id = 7,
            .source = bytes_.data(),
            .destination = there_.data()};
  }

 private:
  std::array<uint8_t, 16> bytes_{};
  std::array<uint8_t, 16> there_{192, 0, 2, 1};
};

class FragmentTableTest : public testing::Test {
 protected:
  FragmentVerdict First(uint32_t packet, const FragmentSpan& span, uint32_t now_s = 0) {
    const FragmentId id = ids_.Of(packet);
    return table_.First(id, FragmentHash(kKey, id), span, kPorts, now_s);
  }
  FragmentVerdict Later(uint32_t packet, const FragmentSpan& span, uintptr_t token, uint32_t now_s = 0) {
    const FragmentId id = ids_.Of(packet);
    return table_.Later(id, FragmentHash(kKey, id), span, reinterpret_cast<void*>(token), now_s);
  }
  // Tokens of what waits no more, in their order, all with the same verdict.
  std::vector<uintptr_t> Released(Kind kind, DropReason reason = DropReason::kCount) {
    std::vector<uintptr_t> tokens;
    FragmentTable::Released released;
    while (table_.Release(released)) {
      EXPECT_EQ(released.verdict.kind, kind);
      EXPECT_EQ(released.verdict.reason, reason);
      if (kind == Kind::kFollow) {
        EXPECT_EQ(released.verdict.ports, kPorts);
      }
      tokens.push_back(reinterpret_cast<uintptr_t>(released.packet));
    }
    return tokens;
  }

  Ids ids_;
  FragmentTable table_ = FragmentTable(8, 6, kTimeoutS);
};

using Tokens = std::vector<uintptr_t>;

TEST_F(FragmentTableTest, OthersFollowTheFirstAndThePacketIsForgottenWhenComplete) {
  EXPECT_EQ(First(1, {0, 1480, true}).kind, Kind::kFollow);
  const FragmentVerdict second = Later(1, {1480, 1480, true}, 1);
  EXPECT_EQ(second.kind, Kind::kFollow);
  EXPECT_EQ(second.ports, kPorts);
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(Later(1, {2960, 100, false}, 2).kind, Kind::kFollow);
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_EQ(table_.held(), 0u);
}

TEST_F(FragmentTableTest, WhatComesBeforeTheFirstWaitsForItInOrder) {
  EXPECT_EQ(Later(1, {2960, 100, false}, 1).kind, Kind::kHold);
  EXPECT_EQ(Later(1, {1480, 1480, true}, 2).kind, Kind::kHold);
  EXPECT_EQ(Later(2, {8, 8, true}, 3).kind, Kind::kHold);
  EXPECT_EQ(table_.held(), 3u);
  EXPECT_EQ(Released(Kind::kFollow), Tokens{});
  EXPECT_EQ(First(1, {0, 1480, true}).kind, Kind::kFollow);
  EXPECT_EQ(Released(Kind::kFollow), (Tokens{1, 2}));
  EXPECT_EQ(table_.held(), 1u);
  EXPECT_EQ(table_.size(), 1u) << "the complete one is forgotten";
}

TEST_F(FragmentTableTest, WaitingEndsWithTheTimeout) {
  Later(1, {8, 8, true}, 1, 10);
  Later(2, {8, 8, true}, 2, 12);
  table_.Expire(10 + kTimeoutS - 1);
  EXPECT_EQ(Released(Kind::kDrop, DropReason::kFragmentTimeout), Tokens{});
  table_.Expire(10 + kTimeoutS);
  EXPECT_EQ(Released(Kind::kDrop, DropReason::kFragmentTimeout), Tokens{1});
  EXPECT_EQ(table_.size(), 1u);
}

TEST_F(FragmentTableTest, AfterTheTimeoutTheSameIdIsAnotherPacket) {
  First(1, {0, 800, true}, 10);
  EXPECT_EQ(Later(1, {800, 8, true}, 1, 10 + kTimeoutS).kind, Kind::kHold);
}

TEST_F(FragmentTableTest, AnOverlapEndsThePacketAndWhatWaitsForIt) {
  Later(1, {16, 16, true}, 1);
  EXPECT_EQ(Later(1, {24, 16, true}, 2).reason, DropReason::kFragmentOverlap);
  EXPECT_EQ(Released(Kind::kDrop, DropReason::kFragmentOverlap), Tokens{1});
  EXPECT_EQ(First(1, {0, 8, true}).reason, DropReason::kFragmentOverlap);
  EXPECT_EQ(Later(1, {800, 16, true}, 3).reason, DropReason::kFragmentOverlap);
}

// RFC 3128: a second fragment at offset 0 that would put other ports over the first one's.
TEST_F(FragmentTableTest, ASecondFirstFragmentDoesNotPass) {
  First(1, {0, 24, true});
  EXPECT_EQ(First(1, {0, 24, true}).reason, DropReason::kFragmentDuplicate);
  EXPECT_EQ(First(1, {0, 32, true}).reason, DropReason::kFragmentOverlap);
  EXPECT_EQ(Later(1, {24, 16, true}, 3).reason, DropReason::kFragmentOverlap);
}

TEST_F(FragmentTableTest, ADoubledFragmentIsDroppedAloneAndThePacketGoesOn) {
  First(1, {0, 800, true});
  EXPECT_EQ(Later(1, {800, 800, true}, 1).kind, Kind::kFollow);
  EXPECT_EQ(Later(1, {800, 800, true}, 2).reason, DropReason::kFragmentDuplicate);
  EXPECT_EQ(Later(1, {1600, 10, false}, 3).kind, Kind::kFollow);
}

TEST_F(FragmentTableTest, NothingLiesBehindTheLast) {
  First(1, {0, 8, true});
  Later(1, {80, 8, false}, 1);
  EXPECT_EQ(Later(1, {88, 8, true}, 2).reason, DropReason::kFragmentOverlap);
  First(2, {0, 8, true});
  Later(2, {80, 8, true}, 1);
  EXPECT_EQ(Later(2, {72, 8, false}, 2).reason, DropReason::kFragmentOverlap);
  First(3, {0, 8, true});
  Later(3, {80, 8, false}, 1);
  EXPECT_EQ(Later(3, {96, 8, false}, 2).reason, DropReason::kFragmentOverlap);
}

TEST_F(FragmentTableTest, TheBufferIsBounded) {
  for (uint16_t i = 0; i < 6; ++i) {
    EXPECT_EQ(Later(1, {static_cast<uint16_t>(8 + 8 * i), 8, true}, i).kind, Kind::kHold);
  }
  EXPECT_EQ(Later(1, {800, 8, true}, 7).reason, DropReason::kFragmentBufferFull);
  EXPECT_EQ(Later(2, {800, 8, true}, 7).reason, DropReason::kFragmentBufferFull);
  EXPECT_EQ(table_.size(), 1u) << "what could not wait left nothing behind";
}

TEST_F(FragmentTableTest, OnePacketMayNotHoldTheWholeBuffer) {
  FragmentTable large(8, 1000, kTimeoutS);
  const FragmentId id = ids_.Of(1);
  size_t held = 0;
  const auto next = [&] {
    const FragmentSpan span = {static_cast<uint16_t>(8 + 8 * held), 8, true};
    return large.Later(id, FragmentHash(kKey, id), span, nullptr, 0);
  };
  while (next().kind == Kind::kHold) ++held;
  EXPECT_EQ(held, FragmentTable::kMaxHeldPerPacket);
}

TEST_F(FragmentTableTest, PacketsWithoutAFirstFragmentHaveHalfTheTable) {
  for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(Later(i, {8, 8, true}, i).kind, Kind::kHold);
  EXPECT_EQ(Later(4, {8, 8, true}, 4).reason, DropReason::kFragmentTableFull);
  for (uint32_t i = 10; i < 14; ++i) EXPECT_EQ(First(i, {0, 8, true}).kind, Kind::kFollow);
  EXPECT_EQ(First(14, {0, 8, true}).reason, DropReason::kFragmentTableFull);
  EXPECT_EQ(First(14, {0, 8, true}, kTimeoutS).kind, Kind::kFollow) << "what is over makes room";
}

// The same with sets of bytes, lists and no bounds of its own but those it is told.
class Oracle {
 public:
  Oracle(size_t packets, size_t held) : max_packets_(packets), max_held_(held) {}

  struct Out {
    uintptr_t token;
    Kind kind;
    DropReason reason;
  };

  std::pair<Kind, DropReason> Add(uint32_t number, bool first, const FragmentSpan& span, uintptr_t token,
                                  uint32_t now_s) {
    if (auto* old = Find(number); old != nullptr && now_s >= old->born_s + kTimeoutS) End(number);
    Record* record = Find(number);
    if (record == nullptr) {
      if (records_.size() == max_packets_) Expire(now_s);
      const auto waiting = static_cast<size_t>(
          std::count_if(records_.begin(), records_.end(), [](const Record& r) { return !r.refused && !r.has_first; }));
      if (records_.size() == max_packets_ || (!first && waiting >= max_packets_ / 2)) {
        return Dropped(DropReason::kFragmentTableFull);
      }
      records_.push_back({.number = number, .born_s = now_s});
      record = &records_.back();
      record->has_first = first;
    }
    if (record->refused) return Dropped(DropReason::kFragmentOverlap);
    if (!first && !record->has_first) {
      if (Held() == max_held_ || record->held.size() == FragmentTable::kMaxHeldPerPacket) {
        if (record->bytes.empty()) records_.remove_if([number](const Record& r) { return r.number == number; });
        return Dropped(DropReason::kFragmentBufferFull);
      }
    }
    const DropReason wrong = Check(*record, span);
    if (wrong == DropReason::kFragmentOverlap) {
      record->refused = true;
      LetGo(*record, Kind::kDrop, wrong);
    }
    if (wrong != DropReason::kCount) return Dropped(wrong);
    for (uint32_t b = span.offset; b < span.end(); ++b) record->bytes.insert(b);
    if (!span.more) record->total = span.end();
    if (!first && !record->has_first) {
      record->held.push_back(token);
      return {Kind::kHold, DropReason::kCount};
    }
    record->has_first = true;
    LetGo(*record, Kind::kFollow, DropReason::kCount);
    if (record->total && record->bytes.size() == *record->total) {
      records_.remove_if([number](const Record& r) { return r.number == number; });
    }
    return {Kind::kFollow, DropReason::kCount};
  }

  void Expire(uint32_t now_s) {
    while (!records_.empty() && now_s >= records_.front().born_s + kTimeoutS) End(records_.front().number);
  }
  std::vector<Out> TakeOut() { return std::exchange(out_, {}); }
  size_t size() const { return records_.size(); }

 private:
  struct Record {
    uint32_t number;
    uint32_t born_s;
    bool has_first = false;
    bool refused = false;
    std::set<uint32_t> bytes = {};
    std::optional<uint32_t> total = {};
    std::vector<uintptr_t> held = {};
  };

  static std::pair<Kind, DropReason> Dropped(DropReason reason) { return {Kind::kDrop, reason}; }
  Record* Find(uint32_t number) {
    for (Record& r : records_) {
      if (r.number == number) return &r;
    }
    return nullptr;
  }
  // What was let go has its place until it is taken.
  size_t Held() const {
    size_t held = out_.size();
    for (const Record& r : records_) held += r.held.size();
    return held;
  }
  static DropReason Check(const Record& r, const FragmentSpan& span) {
    const uint32_t last = r.bytes.empty() ? 0 : *r.bytes.rbegin() + 1;
    if (!span.more && (span.end() < last || (r.total && *r.total != span.end()))) return DropReason::kFragmentOverlap;
    if (span.more && r.total && span.end() >= *r.total) return DropReason::kFragmentOverlap;
    size_t old = 0;
    for (uint32_t b = span.offset; b < span.end(); ++b) old += r.bytes.count(b);
    if (old == span.length) return DropReason::kFragmentDuplicate;
    if (old != 0) return DropReason::kFragmentOverlap;
    std::set<uint32_t> after = r.bytes;
    for (uint32_t b = span.offset; b < span.end(); ++b) after.insert(b);
    size_t runs = 0;
    for (const uint32_t b : after) runs += b == 0 || after.count(b - 1) == 0 ? 1 : 0;
    return runs > FragmentTable::kMaxRanges ? DropReason::kFragmentTableFull : DropReason::kCount;
  }
  void LetGo(Record& r, Kind kind, DropReason reason) {
    for (const uintptr_t token : r.held) out_.push_back({token, kind, reason});
    r.held.clear();
  }
  void End(uint32_t number) {
    LetGo(*Find(number), Kind::kDrop, DropReason::kFragmentTimeout);
    records_.remove_if([number](const Record& r) { return r.number == number; });
  }

  const size_t max_packets_, max_held_;
  std::list<Record> records_;  // by age
  std::vector<Out> out_;
};

// Fragments that fit a common size, so that many fit together; some lie.
FragmentSpan RandomSpan(std::mt19937& random) {
  const auto piece = static_cast<uint16_t>(random() % 32);
  FragmentSpan span = {.offset = static_cast<uint16_t>(piece * 16), .length = 16, .more = piece != 31};
  if (random() % 20 == 0) span.length = static_cast<uint16_t>(8 + 8 * (random() % 4));
  if (random() % 40 == 0) span.more = !span.more;
  return span;
}

TEST(FragmentTableOracleTest, AgreesOnRandomFragments) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    const size_t packets = 4 + seed % 20;
    const size_t held = seed % 3 == 0 ? 5 : 200;
    FragmentTable table(packets, held, kTimeoutS);
    Oracle oracle(packets, held);
    Ids ids;
    uint32_t now_s = 100;
    for (uintptr_t step = 1; step <= 3000; ++step) {
      if (random() % 200 == 0) now_s += static_cast<uint32_t>(random() % 4);
      if (random() % 100 == 0) {
        table.Expire(now_s);
        oracle.Expire(now_s);
      }
      const auto number = static_cast<uint32_t>(random() % (packets + 3));
      const FragmentSpan span = RandomSpan(random);
      const FragmentId id = ids.Of(number);
      const uint64_t hash = FragmentHash(kKey, id);
      const bool first = span.offset == 0;
      const FragmentVerdict got = first ? table.First(id, hash, span, kPorts, now_s)
                                        : table.Later(id, hash, span, reinterpret_cast<void*>(step), now_s);
      const auto [kind, reason] = oracle.Add(number, first, span, step, now_s);
      ASSERT_EQ(got.kind, kind) << "seed " << seed << " step " << step;
      ASSERT_EQ(got.reason, reason) << "seed " << seed << " step " << step;
      ASSERT_EQ(table.size(), oracle.size()) << "seed " << seed << " step " << step;
      FragmentTable::Released released;
      for (const Oracle::Out& out : oracle.TakeOut()) {
        ASSERT_TRUE(table.Release(released)) << "seed " << seed << " step " << step;
        ASSERT_EQ(reinterpret_cast<uintptr_t>(released.packet), out.token);
        ASSERT_EQ(released.verdict.kind, out.kind);
        ASSERT_EQ(released.verdict.reason, out.reason);
      }
      ASSERT_FALSE(table.Release(released)) << "seed " << seed << " step " << step;
    }
    table.Clear();
    EXPECT_EQ(table.size(), 0u);
    FragmentTable::Released released;
    while (table.Release(released)) continue;
    EXPECT_EQ(table.held(), 0u);
  }
}

}  // namespace
}  // namespace sluice::lb
