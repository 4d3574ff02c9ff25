#include "controlplane/model/pool_service.h"

#include "controlplane/model/text.h"

namespace sluice::model {
namespace {

std::string AlarmOf(const PoolRecord& pool, PoolService service) {
  switch (service) {
    case PoolService::kOwn:
      return "enough backends can be used again";
    case PoolService::kPanic:
      return Cat("only ", pool.usable(), " of ", pool.takers(), " backends are up, fewer than ",
                 pool.policy.panic_threshold_percent, " %: all of them are used (panic)");
    case PoolService::kBackup:
      return Cat("no backend can be used: new connections go to the backup pool ", pool.policy.backup);
    case PoolService::kNone:
      return Cat("no backend can be used: packets without one get no_backend ",
                 config::NoBackendName(pool.policy.no_backend));
  }
  return "";
}

}  // namespace

std::string_view PoolServiceName(PoolService service) {
  switch (service) {
    case PoolService::kOwn:
      return "own";
    case PoolService::kPanic:
      return "panic";
    case PoolService::kBackup:
      return "backup";
    case PoolService::kNone:
      return "none";
  }
  return "unknown";
}

PoolService ServiceOf(const Registry& registry, const PoolRecord& pool) {
  if (pool.is_in_panic()) return PoolService::kPanic;
  if (pool.usable() > 0) return PoolService::kOwn;
  const PoolRecord* backup = pool.policy.backup.empty() ? nullptr : registry.FindPool(pool.policy.backup);
  if (backup != nullptr && (backup->is_in_panic() || backup->usable() > 0)) return PoolService::kBackup;
  return PoolService::kNone;
}

std::vector<Alarm> PoolAlarms(const Registry& before, const Registry& after) {
  std::vector<Alarm> alarms;
  for (const auto& pool : after.pools) {
    const PoolRecord* old = before.FindPool(pool->name);
    if (old == nullptr) continue;
    const PoolService service = ServiceOf(after, *pool);
    if (service != ServiceOf(before, *old)) alarms.push_back({Cat("pool ", pool->name), AlarmOf(*pool, service)});
  }
  return alarms;
}

}  // namespace sluice::model
