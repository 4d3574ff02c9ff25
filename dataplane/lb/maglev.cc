#include "dataplane/lb/maglev.h"

#include <algorithm>

#include "dataplane/base/check.h"

namespace sluice::lb {

namespace {

// 0xffff is no valid id (StrongId), so it marks a free slot.
constexpr uint16_t kFree = 0xffff;

// The position in the preference list is kept as a slot: adding skip and subtracting M replaces the modulo.
struct Turn {
  uint64_t credit;
  uint64_t weight;
  uint32_t next_slot;
  uint32_t skip;
  uint16_t id;
};

uint32_t After(uint32_t slot, uint32_t skip, uint32_t table_size) {
  slot += skip;
  return slot >= table_size ? slot - table_size : slot;
}

// The member has come to a slot that is taken. Whether it becomes the slot's heir.
bool NoteHeir(const std::vector<uint16_t>& slots, uint32_t slot, uint16_t id, std::vector<uint16_t>& heirs) {
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
      uint32_t slot = t.next_slot;
      while (slots[slot] != kFree) {
        if constexpr (with_heirs) NoteHeir(slots, slot, t.id, *heirs);
        slot = After(slot, t.skip, table_size);
      }
      slots[slot] = t.id;
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
      t.next_slot = After(t.next_slot, t.skip, static_cast<uint32_t>(slots.size()));
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
    turns.push_back(
        {.credit = 0, .weight = m.weight, .next_slot = m.permutation.offset, .skip = m.permutation.skip, .id = m.id});
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
