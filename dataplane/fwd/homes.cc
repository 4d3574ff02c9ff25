#include "dataplane/fwd/homes.h"

#include <algorithm>

#include "dataplane/fwd/ladder.h"
#include "dataplane/lb/maglev.h"

namespace sluice::fwd {
namespace {

constexpr uint16_t kNobody = BackendId().value();

}  // namespace

std::vector<uint16_t> BuildSlots(const std::vector<PoolTable::Member>& members, uint32_t table_size,
                                 const lb::HashKeys& keys, std::vector<uint16_t>* heirs) {
  std::vector<lb::MaglevMember> with_weight;
  with_weight.reserve(members.size());
  for (const PoolTable::Member& m : members) {
    if (m.weight == 0) continue;
    with_weight.push_back(
        {.id = m.backend.value(),
         .weight = m.weight,
         .permutation = lb::MakePermutation(keys.maglev_offset, keys.maglev_skip, m.name, table_size)});
  }
  return lb::BuildMaglevTable(with_weight, table_size, heirs);
}

bool HomesAreDue(const PoolTable& pool, uint32_t now_s, uint32_t hold_s) {
  return pool.homes_held && now_s - pool.homes_held_since_s >= hold_s;
}

void BuildHomes(const PoolTable* old, const lb::HashKeys& keys, const std::function<bool(BackendId)>& exists,
                uint32_t now_s, uint32_t hold_s, PoolTable* pool) {
  const bool same_known = old != nullptr && old->known == pool->known;
  std::vector<uint16_t> next;
  if (same_known && !old->homes_held) {
    next = old->homes;
  } else if (pool->known == pool->members) {
    next = pool->slots;
  } else {
    next = BuildSlots(pool->known, pool->table_size, keys);
  }
  next.resize(pool->table_size, kNobody);
  pool->homes = next;
  const bool holds =
      old != nullptr && old->homes.size() == next.size() && !(same_known && HomesAreDue(*old, now_s, hold_s));
  if (holds) {
    for (size_t slot = 0; slot < next.size(); ++slot) {
      const uint16_t home = old->homes[slot];
      if (home == next[slot] || home == kNobody || !exists(BackendId(home))) continue;
      pool->homes[slot] = home;
      pool->homes_held = true;
    }
  }
  pool->homes_held_since_s = same_known ? old->homes_held_since_s : now_s;
  pool->unsafe.resize(next.size());
  for (size_t slot = 0; slot < next.size(); ++slot) {
    const uint16_t home = pool->homes[slot];
    const bool is_owner = !pool->slots.empty() && pool->slots[slot] == home;
    pool->unsafe[slot] = !is_owner || next[slot] != home;
  }
}

Home HomeOf(const ForwardingState& state, const FlowView& flow) {
  const VipEntry& vip = (*state.vips)[flow.vip.index()];
  const PoolTable& pool = *state.pools[vip.own_pool.index()];
  if (pool.homes.empty()) return {};
  const uint32_t slot =
      lb::SlotOf(SchedulerHash(*state.keys, vip.hash_input, flow), static_cast<uint32_t>(pool.homes.size()));
  const BackendId home(pool.homes[slot]);
  if (!home.valid() || !(*state.backends)[home.index()].keeps_flows()) return {};
  return {.backend = home, .safe = !pool.unsafe[slot] && vip.pool == vip.own_pool};
}

}  // namespace sluice::fwd
