#include "dataplane/lb/maglev.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>

#include "dataplane/base/check.h"

namespace sluice::lb {

namespace {

// 0xffff is no valid id (StrongId), so it marks a free slot.
constexpr uint16_t kFree = 0xffff;

// Eight steps and where they begin fit into 32 bits. Configurations allow 4999999.
constexpr uint32_t kMaxTableSize = (1u << 29) - 1;

// The position in the preference list is kept as a slot: adding skip, or what it lacks to M, replaces the modulo.
struct Turn {
  uint64_t credit;
  uint64_t weight;
  int32_t next_slot;  // where the next search begins
  int32_t skip;
  int32_t back;  // skip - M
  uint16_t id;
};

// Both ways at once: a search waits for nothing but one step after the other, eleven for each slot of the table.
int32_t After(int32_t slot, const Turn& turn) {
  const int32_t on = slot + turn.skip;
  const int32_t around = slot + turn.back;
  return around < 0 ? on : around;
}

// The member has come to a slot that is taken. Whether it becomes the slot's heir.
bool NoteHeir(const std::vector<uint16_t>& slots, int32_t at, uint16_t id, std::vector<uint16_t>& heirs) {
  const auto slot = static_cast<size_t>(at);
  if (heirs[slot] != kFree || slots[slot] == id) return false;
  heirs[slot] = id;
  return true;
}

// All members' turns until the table is full. `take`: takes the member's next free slot. Inlined, because it is
// compiled for AVX2 where `take` is.
template <typename Take>
__attribute__((always_inline)) inline void Fill(std::vector<Turn>& turns, uint64_t largest_weight, uint32_t table_size,
                                                Take take) {
  uint32_t filled = 0;
  while (true) {
    for (Turn& t : turns) {
      t.credit += t.weight;
      if (t.credit < largest_weight) continue;
      t.credit -= largest_weight;
      take(t);
      if (++filled == table_size) return;
    }
  }
}

template <bool with_heirs>
void FillByOnes(std::vector<Turn>& turns, uint64_t largest_weight, uint32_t table_size, std::vector<uint16_t>& slots,
                std::vector<uint16_t>* heirs) {
  Fill(turns, largest_weight, table_size, [&](Turn& t) {
    int32_t slot = t.next_slot;
    while (slots[static_cast<size_t>(slot)] != kFree) {
      if constexpr (with_heirs) NoteHeir(slots, slot, t.id, *heirs);
      slot = After(slot, t);
    }
    slots[static_cast<size_t>(slot)] = t.id;
    t.next_slot = slot;  // taken now: the next search steps over it
  });
}

// Eight steps of a search at once. How many steps it takes no CPU can predict, and that is what a table costs: one
// after the other, two of three searches end with a branch that goes wrong, and wait for the second-level cache to know
// it. Of eight slots one is free nearly always until two thirds are taken, and later eight are looked at in the time of
// two or three. 1 000 members, 65537 slots: 0.75 ms in place of 1.6. For heirs it brings nothing: each slot gets one,
// by another branch that goes wrong.
//
// With few members a search waits for the one before, which its own begins behind, and the slots are free where the CPU
// expects them: below four slots in a round one after the other are faster, up to ten times with a single member.
constexpr uint64_t kLeastSlotsInARound = 4;

#define SLUICE_MAGLEV_AVX2 __attribute__((target("avx2,bmi")))

bool CpuTakesEight() {
  static const bool takes = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0;
  return takes;
}

// Each of `sums`, below 2 M, modulo M: what is less than M wraps around when M is taken off, and is the lesser itself.
SLUICE_MAGLEV_AVX2 inline __m256i ModuloOfTwo(__m256i sums, __m256i m) {
  return _mm256_min_epu32(sums, _mm256_sub_epi32(sums, m));
}

// The same below 8 M.
SLUICE_MAGLEV_AVX2 inline __m256i ModuloOfEight(__m256i sums, __m256i m) {
  return ModuloOfTwo(ModuloOfTwo(ModuloOfTwo(sums, _mm256_slli_epi32(m, 2)), _mm256_slli_epi32(m, 1)), m);
}

// Which slots are free of those at `at`, a bit for each, four apart. Reads a slot more than the table has, and ignores
// it: it is the upper half of what is loaded for the last one.
SLUICE_MAGLEV_AVX2 inline uint32_t FreeOf(const uint16_t* slots, __m256i at) {
  const __m256i pairs = _mm256_i32gather_epi32(reinterpret_cast<const int*>(slots), at, sizeof(*slots));
  const __m256i free = _mm256_cmpeq_epi16(pairs, _mm256_set1_epi16(static_cast<int16_t>(kFree)));
  return static_cast<uint32_t>(_mm256_movemask_epi8(free)) & 0x11111111;
}

SLUICE_MAGLEV_AVX2 inline int32_t FindFree(const Turn& t, uint32_t table_size, const uint16_t* slots) {
  const __m256i m = _mm256_set1_epi32(static_cast<int32_t>(table_size));
  const __m256i skip = _mm256_set1_epi32(t.skip);
  const __m256i ahead = _mm256_mullo_epi32(skip, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  __m256i at = ModuloOfEight(_mm256_add_epi32(_mm256_set1_epi32(t.next_slot), ahead), m);
  uint32_t free = FreeOf(slots, at);
  if (free == 0) {
    const __m256i eight_steps = ModuloOfEight(_mm256_slli_epi32(skip, 3), m);
    do {
      at = ModuloOfTwo(_mm256_add_epi32(at, eight_steps), m);
      free = FreeOf(slots, at);
    } while (free == 0);
  }
  alignas(32) std::array<int32_t, 8> all;
  _mm256_store_si256(reinterpret_cast<__m256i*>(all.data()), at);
  return all[static_cast<size_t>(std::countr_zero(free)) / 4];
}

// `slots`: with one more at the end.
SLUICE_MAGLEV_AVX2 void FillByEights(std::vector<Turn>& turns, uint64_t largest_weight, uint32_t table_size,
                                     uint16_t* slots) {
  Fill(turns, largest_weight, table_size, [=](Turn& t) SLUICE_MAGLEV_AVX2 {
    const int32_t slot = FindFree(t, table_size, slots);
    slots[slot] = t.id;
    t.next_slot = After(slot, t);
  });
}

// Of slots that nobody has come to. Every member comes to every slot in `table_size` steps.
void GoOn(std::vector<Turn>& turns, const std::vector<uint16_t>& slots, std::vector<uint16_t>& heirs) {
  if (turns.size() < 2) return;
  auto left = std::count(heirs.begin(), heirs.end(), kFree);
  while (left > 0) {
    for (Turn& t : turns) {
      t.next_slot = After(t.next_slot, t);
      if (NoteHeir(slots, t.next_slot, t.id, heirs)) --left;
    }
  }
}

std::vector<uint16_t> Build(std::span<const MaglevMember> members, uint32_t table_size, bool by_eights,
                            std::vector<uint16_t>* heirs) {
  if (heirs != nullptr) heirs->clear();
  if (members.empty()) return {};
  SLUICE_CHECK(members.size() < table_size && table_size <= kMaxTableSize);
  uint64_t largest_weight = 0;
  uint64_t total_weight = 0;
  std::vector<Turn> turns;
  turns.reserve(members.size());
  for (const MaglevMember& m : members) {
    SLUICE_CHECK(m.weight > 0);
    largest_weight = std::max<uint64_t>(largest_weight, m.weight);
    total_weight += m.weight;
    const auto skip = static_cast<int32_t>(m.permutation.skip);
    turns.push_back({.credit = 0,
                     .weight = m.weight,
                     .next_slot = static_cast<int32_t>(m.permutation.offset),
                     .skip = skip,
                     .back = skip - static_cast<int32_t>(table_size),
                     .id = m.id});
  }
  std::vector<uint16_t> slots(size_t{table_size} + 1, kFree);
  if (heirs != nullptr) {
    heirs->assign(table_size, kFree);
    FillByOnes<true>(turns, largest_weight, table_size, slots, heirs);
    GoOn(turns, slots, *heirs);
  } else if (by_eights && total_weight >= kLeastSlotsInARound * largest_weight) {
    FillByEights(turns, largest_weight, table_size, slots.data());
  } else {
    FillByOnes<false>(turns, largest_weight, table_size, slots, nullptr);
  }
  slots.pop_back();
  return slots;
}

}  // namespace

MaglevPermutation MakePermutation(const SipKey& offset_key, const SipKey& skip_key, std::string_view name,
                                  uint32_t table_size) {
  return {.offset = static_cast<uint32_t>(SipHash24(offset_key, name) % table_size),
          .skip = static_cast<uint32_t>(SipHash24(skip_key, name) % (table_size - 1) + 1)};
}

std::vector<uint16_t> BuildMaglevTable(std::span<const MaglevMember> members, uint32_t table_size,
                                       std::vector<uint16_t>* heirs) {
  return Build(members, table_size, CpuTakesEight(), heirs);
}

std::vector<uint16_t> BuildMaglevTablePortable(std::span<const MaglevMember> members, uint32_t table_size) {
  return Build(members, table_size, /*by_eights=*/false, /*heirs=*/nullptr);
}

bool IsPrime(uint32_t n) {
  if (n < 4) return n >= 2;
  if (n % 2 == 0) return false;
  for (uint32_t d = 3; uint64_t{d} * d <= n; d += 2) {
    if (n % d == 0) return false;
  }
  return true;
}

}  // namespace sluice::lb
