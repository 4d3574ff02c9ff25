// What a repair of Maglev's table takes, beside MaglevBuild: an experiment, the data plane has no part in it.

#include <benchmark/benchmark.h>
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <compare>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/base/check.h"
#include "dataplane/lb/maglev.h"

namespace sluice::lb {
namespace {

// A member's place among the others' in time: they take slots in rounds, in each in the order of members.
struct Turn {
  uint32_t round = 0;
  uint32_t member = 0;
  auto operator<=>(const Turn&) const = default;
};

// A number for each member, in eights.
constexpr uint32_t kLanes = 8;
using Row = std::vector<std::array<uint32_t, kLanes>>;
Row MakeRow(size_t members) { return Row((members + kLanes - 1) / kLanes); }
uint32_t& At(Row& row, uint32_t member) { return row[member / kLanes][member % kLanes]; }

// Of `step` modulo the prime `m`, by Euclid.
uint32_t InverseOf(uint32_t step, uint32_t m) {
  int64_t high = m;
  int64_t low = step;
  int64_t of_high = 0;
  int64_t of_low = 1;
  while (low != 0) {
    const int64_t times = high / low;
    high = std::exchange(low, high - times * low);
    of_high = std::exchange(of_low, of_high - times * of_low);
  }
  return static_cast<uint32_t>(of_high < 0 ? of_high + m : of_high);
}

// A table of members of one weight that follows a member that goes or comes, to exactly what is built of those that are
// there then, because directors that have seen other changes must agree.
//
// Turns and slots are a stable matching, in which a turn prefers slots by its member's list, and every slot the
// earliest turn. There is but one, whatever order it is come to in:
//
//   a member goes   each slot that it had goes to the earliest turn that prefers it to its own, whose slot goes on in
//                   the same way, until a turn gets one that had none;
//   one comes       each of its turns asks down its list for a slot that a later turn has, which then asks on down its
//                   own, until that is one behind the table's last.
//
// Which turns prefer a slot, a table could tell that has each slot's place in each member's list, or who came to it in
// vain, eleven members of 1 000 for each slot. Both are many times the table's size, so all members are asked here,
// eight at once, by the inverse of their steps. CPU with AVX2.
class RepairedTable {
 public:
  // Members are there, numbered from 0; so many that none comes to have 2^16 slots.
  RepairedTable(std::vector<MaglevMember> members, uint32_t table_size)
      : size_(table_size),
        members_(std::move(members)),
        there_(members_.size(), true),
        slots_(BuildMaglevTable(members_, table_size)),
        rounds_(table_size),
        offsets_(MakeRow(members_.size())),
        inverses_(MakeRow(members_.size())),
        scaled_inverses_(MakeRow(members_.size())),
        positions_(MakeRow(members_.size())) {
    for (uint32_t i = 0; i < members_.size(); ++i) {
      const uint32_t inverse = InverseOf(members_[i].permutation.skip, size_);
      At(offsets_, i) = members_[i].permutation.offset;
      At(inverses_, i) = inverse;
      At(scaled_inverses_, i) = static_cast<uint32_t>((uint64_t{inverse} << 32) / size_);
    }
    std::vector<std::vector<uint32_t>> taken(members_.size());
    for (uint32_t slot = 0; slot < size_; ++slot) taken[slots_[slot]].push_back(PositionOf(slots_[slot], slot));
    for (uint32_t i = 0; i < members_.size(); ++i) {
      std::sort(taken[i].begin(), taken[i].end());
      for (uint32_t round = 0; round < taken[i].size(); ++round) Give({round, i}, taken[i][round]);
    }
    moves_ = 0;
  }

  const std::vector<uint16_t>& slots() const { return slots_; }

  // Turns that have got another slot.
  uint64_t moves() const { return moves_; }

  void Remove(uint32_t member) {
    std::vector<std::pair<uint32_t, uint32_t>> left;  // slots, and the rounds in which they were taken
    for (uint32_t round = 0; round < taken_.size(); ++round) {
      const uint32_t position = std::exchange(At(taken_[round], member), kGone);
      if (position != kNone) left.emplace_back(SlotAt(member, position), round);
    }
    there_[member] = false;
    for (const auto& [slot, round] : left) GiveAway(slot, round);
  }

  void Add(uint32_t member) {
    there_[member] = true;
    for (Row& round : taken_) At(round, member) = kNone;
    const auto count = static_cast<uint32_t>(std::count(there_.begin(), there_.end(), true));
    uint32_t end_member = 0;
    for (uint32_t rest = size_ % count; rest > 0; ++end_member) rest -= there_[end_member];
    end_ = {size_ / count, end_member};
    uint32_t position = 0;
    for (Turn turn{0, member}; turn < end_; ++turn.round) {
      Ask(turn, position);
      position = At(taken_[turn.round], member) + 1;
    }
  }

 private:
  // In place of a position: of a turn without a slot, which prefers all of them; of a member that is not there.
  static constexpr uint32_t kNone = 0x7fffffff;
  static constexpr uint32_t kGone = 0;

  uint32_t SlotAt(uint32_t member, uint32_t position) const {
    const auto [offset, skip] = members_[member].permutation;
    return static_cast<uint32_t>((offset + uint64_t{position} * skip) % size_);
  }

  uint32_t PositionOf(uint32_t member, uint32_t slot) {
    const uint32_t ahead = slot + size_ - At(offsets_, member);
    return static_cast<uint32_t>(uint64_t{ahead} * At(inverses_, member) % size_);
  }

  // The round's row of positions that have been taken.
  Row& Round(uint32_t round) {
    while (round >= taken_.size()) {
      taken_.push_back(MakeRow(members_.size()));
      for (uint32_t i = 0; i < members_.size(); ++i) At(taken_.back(), i) = there_[i] ? kNone : kGone;
    }
    return taken_[round];
  }

  void Give(Turn turn, uint32_t position) {
    const uint32_t slot = SlotAt(turn.member, position);
    At(Round(turn.round), turn.member) = position;
    slots_[slot] = static_cast<uint16_t>(turn.member);
    rounds_[slot] = static_cast<uint16_t>(turn.round);
    ++moves_;
  }

  // Of a slot that was taken in `round`, and is free.
  void GiveAway(uint32_t slot, uint32_t round) {
    while (true) {
      FindPositions(slot);
      uint32_t member = 0;
      while ((member = FirstBehind(Round(round))) == members_.size()) ++round;
      const uint32_t before = At(taken_[round], member);
      Give({round, member}, At(positions_, member));
      if (before == kNone) return;
      slot = SlotAt(member, before);
    }
  }

  // From `position` of its member's list on.
  void Ask(Turn turn, uint32_t position) {
    while (true) {
      const uint32_t slot = turn.round < end_.round ? NextOfLater(turn, position) : FirstOfLater(turn, position);
      const Turn later{rounds_[slot], slots_[slot]};
      Give(turn, PositionOf(turn.member, slot));
      const uint32_t before = std::exchange(At(taken_[later.round], later.member), kNone);
      if (!(later < end_)) return;
      turn = later;
      position = before + 1;
    }
  }

  uint32_t NextOfLater(Turn turn, uint32_t position) const {
    const uint32_t skip = members_[turn.member].permutation.skip;
    uint32_t slot = SlotAt(turn.member, position);
    while (Turn{rounds_[slot], slots_[slot]} < turn) slot = slot + skip < size_ ? slot + skip : slot + skip - size_;
    return slot;
  }

  // The same, where there are fewer later turns than slots to ask.
  uint32_t FirstOfLater(Turn turn, uint32_t position) {
    uint32_t found = 0;
    uint32_t found_at = kNone;
    for (Turn later{turn.round, turn.member + 1}; later.round < taken_.size(); later = {later.round + 1, 0}) {
      for (; later.member < members_.size(); ++later.member) {
        const uint32_t theirs = At(taken_[later.round], later.member);
        if (theirs == kNone || !there_[later.member]) continue;
        const uint32_t slot = SlotAt(later.member, theirs);
        const uint32_t at = PositionOf(turn.member, slot);
        if (at < position || at >= found_at) continue;
        found = slot;
        found_at = at;
      }
    }
    return found;
  }

#define SLUICE_AVX2 __attribute__((target("avx2")))

  // Of the slot in each member's list. The remainder's quotient, by the inverse's share of the modulus, is right or one
  // too low.
  SLUICE_AVX2 void FindPositions(uint32_t slot) {
    const __m256i m = _mm256_set1_epi32(static_cast<int>(size_));
    for (size_t i = 0; i < positions_.size(); ++i) {
      const __m256i inverse = Load(inverses_[i]);
      const __m256i scaled = Load(scaled_inverses_[i]);
      __m256i ahead = _mm256_sub_epi32(_mm256_set1_epi32(static_cast<int>(slot)), Load(offsets_[i]));
      ahead = _mm256_min_epu32(ahead, _mm256_add_epi32(ahead, m));
      const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(ahead, scaled), 32);
      const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(ahead, 32), _mm256_srli_epi64(scaled, 32));
      const __m256i quotient = _mm256_blend_epi32(even, odd, 0xaa);
      const __m256i rest = _mm256_sub_epi32(_mm256_mullo_epi32(ahead, inverse), _mm256_mullo_epi32(quotient, m));
      const __m256i position = _mm256_min_epu32(rest, _mm256_sub_epi32(rest, m));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(positions_[i].data()), position);
    }
  }

  // The first member whose position of the round is behind that of `positions_`; how many there are where none is.
  SLUICE_AVX2 uint32_t FirstBehind(const Row& round) const {
    for (size_t i = 0; i < round.size(); ++i) {
      const __m256i behind = _mm256_cmpgt_epi32(Load(round[i]), Load(positions_[i]));
      const auto bits = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(behind)));
      if (bits != 0) return static_cast<uint32_t>(i) * kLanes + static_cast<uint32_t>(std::countr_zero(bits));
    }
    return static_cast<uint32_t>(members_.size());
  }

  SLUICE_AVX2 static __m256i Load(const std::array<uint32_t, kLanes>& lanes) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes.data()));
  }

#undef SLUICE_AVX2

  const uint32_t size_;
  const std::vector<MaglevMember> members_;
  std::vector<bool> there_;
  std::vector<uint16_t> slots_;
  std::vector<uint16_t> rounds_;  // in which each slot was taken
  std::vector<Row> taken_;        // by round: the position that each member's turn has
  Turn end_;                      // the first turn without a slot, while a member is added
  Row offsets_;
  Row inverses_;         // of steps
  Row scaled_inverses_;  // times 2^32 / size
  Row positions_;        // of one slot
  uint64_t moves_ = 0;
};

// One of the backends goes and comes back, and the time of one of both is told.
void MaglevRepair(benchmark::State& state) {
  const auto backends = static_cast<uint32_t>(state.range(0));
  const auto m = static_cast<uint32_t>(state.range(1));
  const bool goes = state.range(2) != 0;
  if (!__builtin_cpu_supports("avx2")) return state.SkipWithError("needs a CPU with AVX2");
  std::vector<MaglevMember> members;
  for (uint32_t i = 0; i < backends; ++i) {
    members.push_back({.id = static_cast<uint16_t>(i),
                       .weight = 1,
                       .permutation = MakePermutation({1}, {2}, "backend-" + std::to_string(i), m)});
  }
  RepairedTable table(members, m);
  std::mt19937 random(3);
  uint64_t moves = 0;
  for (auto _ : state) {
    const auto member = static_cast<uint32_t>(random() % backends);
    if (!goes) table.Remove(member);
    const uint64_t moves_before = table.moves();
    const auto begin = std::chrono::steady_clock::now();
    if (goes) {
      table.Remove(member);
    } else {
      table.Add(member);
    }
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    moves += table.moves() - moves_before;
    if (goes) table.Add(member);
  }
  state.counters["moved_turns_percent"] =
      100.0 * static_cast<double>(moves) / static_cast<double>(state.iterations()) / static_cast<double>(m);
  for (const uint32_t member : {1, 0, 2}) table.Remove(member);
  SLUICE_CHECK(table.slots() == BuildMaglevTable(std::span(members).subspan(3), m));
  for (const uint32_t member : {2, 1, 0}) table.Add(member);
  SLUICE_CHECK(table.slots() == BuildMaglevTable(members, m));
}
BENCHMARK(MaglevRepair)
    ->ArgNames({"backends", "slots", "goes"})
    ->ArgsProduct({{100, 1000, 4000}, {65537}, {1, 0}})
    ->ArgsProduct({{1000}, {655373}, {1, 0}})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::lb
