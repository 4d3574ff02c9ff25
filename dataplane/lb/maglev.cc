#include "dataplane/lb/maglev.h"

#include <algorithm>

#include "dataplane/base/check.h"

namespace sluice::lb {

MaglevPermutation MakePermutation(const SipKey& offset_key, const SipKey& skip_key, std::string_view name,
                                  uint32_t table_size) {
  return {.offset = static_cast<uint32_t>(SipHash24(offset_key, name) % table_size),
          .skip = static_cast<uint32_t>(SipHash24(skip_key, name) % (table_size - 1) + 1)};
}

std::vector<uint16_t> BuildMaglevTable(std::span<const MaglevMember> members, uint32_t table_size) {
  if (members.empty()) return {};
  SLUICE_CHECK(members.size() < table_size);
  // The position in the preference list is kept as a slot: adding skip and subtracting M replaces the modulo.
  struct Turn {
    uint64_t credit;
    uint64_t weight;
    uint32_t next_slot;
    uint32_t skip;
    uint16_t id;
  };
  uint64_t largest_weight = 0;
  std::vector<Turn> turns;
  turns.reserve(members.size());
  for (const MaglevMember& m : members) {
    SLUICE_CHECK(m.weight > 0);
    largest_weight = std::max<uint64_t>(largest_weight, m.weight);
    turns.push_back(
        {.credit = 0, .weight = m.weight, .next_slot = m.permutation.offset, .skip = m.permutation.skip, .id = m.id});
  }
  // 0xffff is no valid id (StrongId), so it marks a free slot.
  constexpr uint16_t kFree = 0xffff;
  std::vector<uint16_t> slots(table_size, kFree);
  uint32_t filled = 0;
  while (true) {
    for (Turn& t : turns) {
      t.credit += t.weight;
      if (t.credit < largest_weight) continue;
      t.credit -= largest_weight;
      uint32_t slot = t.next_slot;
      while (slots[slot] != kFree) {
        slot += t.skip;
        if (slot >= table_size) slot -= table_size;
      }
      slots[slot] = t.id;
      t.next_slot = slot;  // taken now: the next search steps over it
      if (++filled == table_size) return slots;
    }
  }
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
