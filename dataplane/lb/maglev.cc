#include "dataplane/lb/maglev.h"

#include <algorithm>

#include "dataplane/base/check.h"

namespace sluice::lb {

namespace {

// 0xffff is no valid id (StrongId), so it marks a free slot.
constexpr uint16_t kFree = 0xffff;

// The position in the preference list is kept as a slot: adding skip, or what it lacks to M, replaces the modulo.
struct Turn {
  uint64_t credit;
  uint64_t weight;
  int32_t next_slot;
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

template <bool with_heirs>
void Fill(std::vector<Turn>& turns, uint64_t largest_weight, std::vector<uint16_t>& slots,
          std::vector<uint16_t>* heirs) {
  const auto table_size = static_cast<uint32_t>(slots.size());
  uint32_t filled = 0;
  while (true) {
    for (Turn& t : turns) {
      t.credit += t.weight;
      if (t.credit < largest_weight) continue;
      t.credit -= largest_weight;
      int32_t slot = t.next_slot;
      while (slots[static_cast<size_t>(slot)] != kFree) {
        if constexpr (with_heirs) NoteHeir(slots, slot, t.id, *heirs);
        slot = After(slot, t);
      }
      slots[static_cast<size_t>(slot)] = t.id;
      t.next_slot = slot;  // taken now: the next search steps over it
      if (++filled == table_size) return;
    }
  }
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

}  // namespace

MaglevPermutation MakePermutation(const SipKey& offset_key, const SipKey& skip_key, std::string_view name,
                                  uint32_t table_size) {
  return {.offset = static_cast<uint32_t>(SipHash24(offset_key, name) % table_size),
          .skip = static_cast<uint32_t>(SipHash24(skip_key, name) % (table_size - 1) + 1)};
}

std::vector<uint16_t> BuildMaglevTable(std::span<const MaglevMember> members, uint32_t table_size,
                                       std::vector<uint16_t>* heirs) {
  if (heirs != nullptr) heirs->clear();
  if (members.empty()) return {};
  SLUICE_CHECK(members.size() < table_size);
  uint64_t largest_weight = 0;
  std::vector<Turn> turns;
  turns.reserve(members.size());
  for (const MaglevMember& m : members) {
    SLUICE_CHECK(m.weight > 0);
    largest_weight = std::max<uint64_t>(largest_weight, m.weight);
    const auto skip = static_cast<int32_t>(m.permutation.skip);
    turns.push_back({.credit = 0,
                     .weight = m.weight,
                     .next_slot = static_cast<int32_t>(m.permutation.offset),
                     .skip = skip,
                     .back = skip - static_cast<int32_t>(table_size),
                     .id = m.id});
  }
  std::vector<uint16_t> slots(table_size, kFree);
  if (heirs == nullptr) {
    Fill<false>(turns, largest_weight, slots, nullptr);
  } else {
    heirs->assign(table_size, kFree);
    Fill<true>(turns, largest_weight, slots, heirs);
    GoOn(turns, slots, *heirs);
  }
  return slots;
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
