#ifndef SLUICE_CONTROLPLANE_MODEL_POOL_SERVICE_H_
#define SLUICE_CONTROLPLANE_MODEL_POOL_SERVICE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/model/registry.h"

// Who takes the new flows of a pool's VIPs, given the health of its backends.
namespace sluice::model {

enum class PoolService : uint8_t {
  kOwn,     // its backends, as far as they are usable
  kPanic,   // all of its backends, usable or not, because too few are
  kBackup,  // another pool's backends
  kNone,    // nobody
};

// "own", "panic", "backup", "none"
std::string_view PoolServiceName(PoolService service);

PoolService ServiceOf(const Registry& registry, const PoolRecord& pool);

// Something that wants a person, or the end of it.
struct Alarm {
  std::string object;  // "pool web"
  std::string message;
};

// What changes about the pools that are there before and after.
std::vector<Alarm> PoolAlarms(const Registry& before, const Registry& after);

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_POOL_SERVICE_H_
