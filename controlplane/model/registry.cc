#include "controlplane/model/registry.h"

#include <algorithm>

#include "controlplane/model/text.h"

namespace sluice::model {
namespace {

// `name_of` gives the key by which `sorted` is in order.
template <typename Container, typename NameOf>
auto FindByName(const Container& sorted, std::string_view name, NameOf name_of) {
  const auto it = std::lower_bound(sorted.begin(), sorted.end(), name,
                                   [&](const auto& item, std::string_view key) { return name_of(item) < key; });
  return it != sorted.end() && name_of(*it) == name ? &*it : nullptr;
}

}  // namespace

size_t PoolRecord::takers() const {
  return static_cast<size_t>(
      std::count_if(backends.begin(), backends.end(), [](const BackendRecord& b) { return b.takes_new_flows(); }));
}

size_t PoolRecord::usable() const {
  return static_cast<size_t>(std::count_if(backends.begin(), backends.end(), [](const BackendRecord& b) {
    return b.takes_new_flows() && IsUsable(b.health.value());
  }));
}

bool PoolRecord::is_in_panic() const {
  if (policy.panic_threshold_percent == 0) return false;
  const size_t up = usable();
  const size_t all = takers();
  if (up == 0 && !policy.backup.empty()) return false;
  return up < all && up * 100 < all * policy.panic_threshold_percent;
}

const BackendRecord* PoolRecord::Find(std::string_view backend) const {
  return FindByName(backends, backend, [](const BackendRecord& b) -> std::string_view { return b.desired.name; });
}

const PoolRecord* Registry::FindPool(std::string_view name) const {
  const auto* found = FindByName(pools, name, [](const auto& p) -> std::string_view { return p->name; });
  return found == nullptr ? nullptr : found->get();
}

const VipRecord* Registry::FindVip(std::string_view name) const {
  return FindByName(*vips, name, [](const VipRecord& v) -> std::string_view { return v.desired.name; });
}

absl::StatusOr<const PoolRecord*> Registry::GetPool(std::string_view name) const {
  const PoolRecord* pool = FindPool(name);
  if (pool != nullptr) return pool;
  return absl::NotFoundError(
      Cat("there is no pool \"", name, "\"; `sluicectl get backends` lists the pools and their backends"));
}

absl::StatusOr<const BackendRecord*> Registry::GetBackend(std::string_view pool, std::string_view backend) const {
  const absl::StatusOr<const PoolRecord*> found = GetPool(pool);
  if (!found.ok()) return found.status();
  const BackendRecord* record = (*found)->Find(backend);
  if (record != nullptr) return record;
  return absl::NotFoundError(Cat("pool \"", pool, "\" has no backend \"", backend, "\"; `sluicectl get backends ", pool,
                                 "` lists those it has"));
}

size_t Registry::BackendCount() const {
  size_t count = 0;
  for (const auto& pool : pools) count += pool->backends.size();
  return count;
}

}  // namespace sluice::model
