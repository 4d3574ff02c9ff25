#include "controlplane/model/document.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "controlplane/model/text.h"

namespace sluice::model {
namespace {

template <typename T>
T* Named(std::vector<T>& items, std::string_view name) {
  const auto it = std::find_if(items.begin(), items.end(), [&](const T& item) { return item.name == name; });
  return it == items.end() ? nullptr : &*it;
}

template <typename T>
std::string PathOf(std::string_view list, const std::vector<T>& items, const T* item) {
  return Cat(list, "[", static_cast<size_t>(item - items.data()), "]");
}

absl::Status None(std::string_view kind, std::string_view name) {
  return absl::NotFoundError(Cat("there is no ", kind, " \"", name, "\"; `sluicectl get ", kind, "s` lists them"));
}

template <typename T>
absl::Status Create(std::string_view kind, std::string_view list, const T& item, std::vector<T>& items,
                    std::string* path) {
  if (Named(items, item.name) != nullptr) {
    return absl::AlreadyExistsError(
        Cat("there is a ", kind, " \"", item.name, "\" already; update it, or take another name"));
  }
  items.push_back(item);
  *path = PathOf(list, items, &items.back());
  return absl::OkStatus();
}

template <typename T>
absl::Status Update(std::string_view kind, std::string_view list, const T& item, std::vector<T>& items,
                    std::string* path) {
  T* old = Named(items, item.name);
  if (old == nullptr) return None(kind, item.name);
  *old = item;
  *path = PathOf(list, items, static_cast<const T*>(old));
  return absl::OkStatus();
}

}  // namespace

absl::Status CreateVip(const DesiredVip& vip, DesiredState& document, std::string* path) {
  return Create("vip", "services.vips", vip, document.vips, path);
}

absl::Status CreatePool(const DesiredPool& pool, DesiredState& document, std::string* path) {
  return Create("pool", "services.pools", pool, document.pools, path);
}

absl::Status UpdateVip(const DesiredVip& vip, DesiredState& document, std::string* path) {
  return Update("vip", "services.vips", vip, document.vips, path);
}

absl::Status UpdatePool(const DesiredPool& pool, DesiredState& document, std::string* path) {
  return Update("pool", "services.pools", pool, document.pools, path);
}

absl::Status UpdateBackend(std::string_view pool, const DesiredBackend& backend, DesiredState& document,
                           std::string* path) {
  DesiredPool* found = Named(document.pools, pool);
  if (found == nullptr) return None("pool", pool);
  const std::string list = PathOf("services.pools", document.pools, static_cast<const DesiredPool*>(found));
  if (Named(found->backends, backend.name) == nullptr) {
    return absl::NotFoundError(Cat("pool \"", pool, "\" has no backend \"", backend.name,
                                   "\"; `sluicectl get backends ", pool, "` lists them"));
  }
  return Update("backend", list + ".backends", backend, found->backends, path);
}

absl::Status DeleteVip(std::string_view name, DesiredState& document) {
  const DesiredVip* vip = Named(document.vips, name);
  if (vip == nullptr) return None("vip", name);
  document.vips.erase(document.vips.begin() + (vip - document.vips.data()));
  return absl::OkStatus();
}

absl::Status DeletePool(std::string_view name, DesiredState& document) {
  const DesiredPool* pool = Named(document.pools, name);
  if (pool == nullptr) return None("pool", name);
  for (const DesiredVip& vip : document.vips) {
    if (vip.pool != name) continue;
    return absl::FailedPreconditionError(
        Cat("pool \"", name, "\": the VIP \"", vip.name, "\" uses it; delete the VIP first, or give it another pool"));
  }
  for (const DesiredPool& other : document.pools) {
    if (other.policy.backup != name) continue;
    return absl::FailedPreconditionError(
        Cat("pool \"", name, "\": it is the backup of pool \"", other.name, "\"; take its backup away first"));
  }
  document.pools.erase(document.pools.begin() + (pool - document.pools.data()));
  return absl::OkStatus();
}

DesiredState DocumentOf(const Registry& registry, const DesiredState& document) {
  DesiredState out = document;
  out.seed = registry.seed;
  out.cookie_keys = registry.cookie_keys;
  out.cookie_quarantine_s = registry.cookie_quarantine_s;
  out.quic_configs = registry.quic_configs;
  for (DesiredPool& pool : out.pools) {
    const PoolRecord* record = registry.FindPool(pool.name);
    if (record == nullptr) continue;
    pool.backends.clear();
    for (const BackendRecord& backend : record->backends) pool.backends.push_back(backend.desired);
  }
  out.vips.clear();
  for (const VipRecord& vip : *registry.vips) out.vips.push_back(vip.desired);
  return out;
}

KeptState Keep(const Registry& registry, const DesiredState& document) {
  KeptState kept{DocumentOf(registry, document), {}, registry.resting_cookie_ids};
  for (const auto& pool : registry.pools) {
    for (const BackendRecord& backend : pool->backends) {
      if (backend.operator_drain) kept.operator_drains.emplace_back(pool->name, backend.desired.name);
    }
  }
  return kept;
}

absl::StatusOr<Change> Restore(const Registry& current, const KeptState& kept, const ChangeContext& context) {
  absl::StatusOr<Change> change = ApplyDesired(current, kept.desired, context);
  if (!change.ok()) return change;
  change->next.resting_cookie_ids = kept.resting_cookie_ids;
  for (const auto& [pool, backend] : kept.operator_drains) {
    const auto record = change->next.GetBackend(pool, backend);
    if (!record.ok() || (*record)->desired.drain.has_value()) continue;
    absl::StatusOr<Change> drained = SetDrain(change->next, pool, backend, true);
    if (!drained.ok()) return drained.status();
    change->next = std::move(drained->next);
    change->lines.insert(change->lines.end(), drained->lines.begin(), drained->lines.end());
  }
  return change;
}

}  // namespace sluice::model
