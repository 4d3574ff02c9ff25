#include "dataplane/fwd/second_chance.h"

#include <array>

#include "dataplane/lb/flow_hash.h"

namespace sluice::fwd {
namespace {

constexpr uint16_t kNoOwner = BackendId().value();

uint16_t OwnerOf(const std::vector<uint16_t>& slots, size_t slot) { return slots.empty() ? kNoOwner : slots[slot]; }

}  // namespace

void NotePreviousOwners(const PoolTable* old, const std::function<bool(BackendId)>& exists, PoolTable* pool) {
  const size_t size = pool->table_size;
  pool->previous.assign(size, kNoOwner);
  if (old == nullptr || old->table_size != size) return;
  for (size_t slot = 0; slot < size; ++slot) {
    const uint16_t owner = OwnerOf(pool->slots, slot);
    uint16_t before = OwnerOf(old->slots, slot);
    // It did not move, or nobody had it meanwhile.
    if (before == owner || before == kNoOwner) before = OwnerOf(old->previous, slot);
    if (before != owner && before != kNoOwner && exists(BackendId(before))) pool->previous[slot] = before;
  }
}

BackendId SecondChanceOf(const ForwardingState& state, const VipEntry& vip, uint64_t hash, BackendId chosen) {
  const PoolTable& pool = *state.pools[vip.own_pool.index()];
  if (pool.previous.empty()) return {};
  const BackendTable& backends = *state.backends;
  const uint32_t slot = lb::SlotOf(hash, static_cast<uint32_t>(pool.previous.size()));
  for (const uint16_t each :
       {pool.previous[slot], pool.homes[slot], OwnerOf(pool.slots, slot), OwnerOf(pool.heirs, slot)}) {
    const BackendId second(each);
    if (!second.valid() || second == chosen) continue;
    const BackendEntry& entry = backends[second.index()];
    if (entry.keeps_flows() && entry.family == backends[chosen.index()].family) return second;
  }
  return {};
}

}  // namespace sluice::fwd
