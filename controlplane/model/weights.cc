#include "controlplane/model/weights.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace sluice::model {
namespace {

bool GetsNewFlows(const BackendRecord& backend, bool panic) {
  return backend.takes_new_flows() && (panic || IsUsable(backend.health.value()));
}

// The pool with what `change` makes of its backends; the same one when it changes nothing.
template <typename EachBackend>
bool ChangeBackends(std::shared_ptr<const PoolRecord>& pool, const EachBackend& change) {
  std::shared_ptr<PoolRecord> changed;
  for (size_t i = 0; i < pool->backends.size(); ++i) {
    BackendRecord backend = pool->backends[i];
    change(backend);
    if (backend.weight_use == pool->backends[i].weight_use) continue;
    if (changed == nullptr) changed = std::make_shared<PoolRecord>(*pool);
    changed->backends[i].weight_use = backend.weight_use;
  }
  if (changed == nullptr) return false;
  pool = std::move(changed);
  return true;
}

}  // namespace

uint32_t SlowStartPercent(const config::PoolPolicy& policy, std::chrono::steady_clock::duration passed) {
  const std::chrono::duration<double> whole = std::chrono::seconds(policy.slow_start_s);
  if (passed >= whole) return 100;
  const uint32_t steps = std::max<uint32_t>(policy.slow_start_steps, 1);
  const auto done = static_cast<uint32_t>(std::max(0.0, passed / whole) * steps);
  return std::clamp<uint32_t>(100 * (done + 1) / (steps + 1), 1, 99);
}

void BeginSlowStarts(const Registry& before, SteadyTime now, Registry* next) {
  for (std::shared_ptr<const PoolRecord>& pool : next->pools) {
    const PoolRecord* old = before.FindPool(pool->name);
    if (old == pool.get()) continue;
    const bool panic = pool->is_in_panic();
    const bool old_panic = old != nullptr && old->is_in_panic();
    absl::flat_hash_map<BackendId, const BackendRecord*> served;  // before
    if (old != nullptr && pool->policy.slow_start_s > 0) {
      for (const BackendRecord& backend : old->backends) {
        if (GetsNewFlows(backend, old_panic)) served.emplace(backend.id, &backend);
      }
    }
    const bool somebody_served = !served.empty();
    ChangeBackends(pool, [&](BackendRecord& backend) {
      WeightUse& use = backend.weight_use;
      if (!pool->policy.weight_by_load) use.load_percent = 100;
      if (pool->policy.slow_start_s == 0 || !GetsNewFlows(backend, panic)) {
        use.started.reset();
        use.start_percent = 100;
        return;
      }
      const auto found = served.find(backend.id);
      const bool is_new = found == served.end() || found->second->generation != backend.generation;
      if (!is_new || !somebody_served) return;
      use.started = now;
      use.start_percent = SlowStartPercent(pool->policy, {});
    });
  }
}

bool StartsSlowly(const Registry& registry) {
  return std::any_of(registry.pools.begin(), registry.pools.end(), [](const auto& pool) {
    return pool->policy.slow_start_s > 0 &&
           std::any_of(pool->backends.begin(), pool->backends.end(),
                       [](const BackendRecord& backend) { return backend.weight_use.started.has_value(); });
  });
}

bool AdvanceWeights(SteadyTime now, const std::vector<LoadPercent>& loads, Registry* next) {
  absl::flat_hash_map<BackendId, const LoadPercent*> by_id;
  for (const LoadPercent& load : loads) by_id[load.backend] = &load;
  bool changed = false;
  for (std::shared_ptr<const PoolRecord>& pool : next->pools) {
    const config::PoolPolicy& policy = pool->policy;
    if (policy.slow_start_s == 0 && !policy.weight_by_load) continue;
    changed |= ChangeBackends(pool, [&](BackendRecord& backend) {
      WeightUse& use = backend.weight_use;
      if (use.started) {
        use.start_percent = SlowStartPercent(policy, now - *use.started);
        if (use.start_percent == 100) use.started.reset();
      }
      const auto load = by_id.find(backend.id);
      if (policy.weight_by_load && load != by_id.end() && load->second->generation == backend.generation) {
        use.load_percent = std::clamp<uint32_t>(load->second->percent, 1, 100);
      }
    });
  }
  return changed;
}

}  // namespace sluice::model
