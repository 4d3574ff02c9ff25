#include "controlplane/reconcile/impact.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace sluice::reconcile {
namespace {

// While a table is built, each slot takes its own two bytes and those of the permutations' marks beside it.
constexpr uint64_t kBytesPerSlot = 4;
// Of homes the same and a bit; and of previous owners and heirs.
constexpr uint64_t kBytesPerSlotOfHomes = 5;
constexpr uint64_t kBytesPerSlotOfChances = 4;
// With their places in hash tables.
constexpr uint64_t kBytesPerVip = 512;
constexpr uint64_t kBytesPerBackend = 256;

const fwd::PoolTable* TableOf(const fwd::ForwardingState& state, PoolId id) {
  return id.index() < state.pools.size() ? state.pools[id.index()].get() : nullptr;
}

// By PoolId: what a slot takes for the VIPs of the pool beside its owner (fwd/homes.h, fwd/second_chance.h).
std::vector<uint64_t> CollectNeeds(const std::vector<fwd::VipSpec>& vips) {
  std::vector<uint64_t> needs;
  for (const fwd::VipSpec& vip : vips) {
    if (!vip.entry.unsafe_only && !vip.entry.second_chance) continue;
    const size_t pool = vip.entry.pool.index();
    if (pool >= needs.size()) needs.resize(pool + 1);
    needs[pool] = std::max(needs[pool], kBytesPerSlotOfHomes + (vip.entry.second_chance ? kBytesPerSlotOfChances : 0));
  }
  return needs;
}

// Of these, what a table that stays has already.
uint64_t MetNeeds(const fwd::PoolTable& table) {
  if (table.homes.empty()) return 0;
  return kBytesPerSlotOfHomes + (table.heirs.empty() ? 0 : kBytesPerSlotOfChances);
}

uint64_t CountMoved(const fwd::PoolTable& before, const fwd::PoolTable& after) {
  if (before.slots.size() != after.slots.size()) return after.slots.size();
  uint64_t moved = 0;
  for (size_t i = 0; i < after.slots.size(); ++i) moved += before.slots[i] != after.slots[i] ? 1 : 0;
  return moved;
}

}  // namespace

uint64_t EstimateBytes(const fwd::StateSpec& spec, const fwd::ForwardingState* before) {
  uint64_t bytes = spec.vips.size() * kBytesPerVip + spec.backends.size() * kBytesPerBackend;
  const std::vector<uint64_t> needs = CollectNeeds(spec.vips);
  for (const fwd::PoolSpec& pool : spec.pools) {
    const fwd::PoolTable* old = before == nullptr ? nullptr : TableOf(*before, pool.id);
    const bool shared = old != nullptr && old->table_size == pool.table_size && old->members == pool.members;
    const uint64_t needed = pool.id.index() < needs.size() ? needs[pool.id.index()] : 0;
    const uint64_t met = shared ? MetNeeds(*old) : 0;
    bytes += pool.table_size * ((shared ? 0 : kBytesPerSlot) + (needed > met ? needed - met : 0));
  }
  return bytes;
}

void Compare(const model::Registry& before, const fwd::ForwardingState& state_before, const model::Registry& after,
             const fwd::ForwardingState& state_after, Impact* impact) {
  uint64_t slots = 0;
  uint64_t moved = 0;
  for (const auto& pool : after.pools) {
    const model::PoolRecord* old = before.FindPool(pool->name);
    if (old == nullptr) continue;
    const fwd::PoolTable* table_before = TableOf(state_before, old->id);
    const fwd::PoolTable* table_after = TableOf(state_after, pool->id);
    if (table_before == nullptr || table_after == nullptr) continue;
    slots += table_after->slots.size();
    if (table_before == table_after) continue;
    const uint64_t of_pool = CountMoved(*table_before, *table_after);
    moved += of_pool;
    if (of_pool > 0) {
      impact->slots_moved_by_pool[pool->name] =
          static_cast<double>(of_pool) / static_cast<double>(table_after->slots.size());
    }
  }
  if (slots > 0) impact->slots_moved = static_cast<double>(moved) / static_cast<double>(slots);
}

uint64_t FlowsOnRemoved(const model::Registry& before, const model::Registry& after,
                        const model::DataplaneFacts& facts) {
  // What two registries share has not changed.
  const auto changed = [](const model::Registry& registry, const model::Registry& other) {
    std::vector<const model::PoolRecord*> pools;
    for (const auto& pool : registry.pools) {
      if (other.FindPool(pool->name) != pool.get()) pools.push_back(pool.get());
    }
    return pools;
  };
  std::set<std::pair<uint16_t, uint16_t>> stay;
  for (const model::PoolRecord* pool : changed(after, before)) {
    for (const model::BackendRecord& backend : pool->backends) stay.emplace(backend.id.value(), backend.generation);
  }
  uint64_t flows = 0;
  for (const model::PoolRecord* pool : changed(before, after)) {
    for (const model::BackendRecord& backend : pool->backends) {
      if (!stay.contains({backend.id.value(), backend.generation})) flows += facts.CountsOf(backend.id).flows_alive;
    }
  }
  return flows;
}

}  // namespace sluice::reconcile
