#ifndef SLUICE_CONTROLPLANE_MODEL_REGISTRY_H_
#define SLUICE_CONTROLPLANE_MODEL_REGISTRY_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/model/counts.h"
#include "controlplane/model/dataplane_facts.h"
#include "controlplane/model/desired_state.h"
#include "controlplane/model/health.h"
#include "controlplane/model/id_allocator.h"
#include "controlplane/model/lifecycle.h"
#include "controlplane/model/resting_cookie_id.h"
#include "dataplane/base/ids.h"

// The truth of the control plane: what is desired, with the ids and the lifecycle it has in this process. A Registry is
// never changed: changes.h makes a new one from it, which is dropped when the data plane refuses it, so that a refused
// change cannot leave anything behind. Readers keep the one they hold.
namespace sluice::model {

using SteadyTime = std::chrono::steady_clock::time_point;

// Of a backend's weight, what counts at the moment (model/weights.h).
struct WeightUse {
  std::optional<SteadyTime> started = {};  // it starts slowly, since then
  uint32_t start_percent = 100;
  uint32_t load_percent = 100;
  friend bool operator==(const WeightUse&, const WeightUse&) = default;
};

struct BackendRecord {
  // `drain` is the document's word; unset, the operator decides.
  DesiredBackend desired;
  bool operator_drain = false;
  Lifecycle lifecycle = Lifecycle::kActive;
  BackendId id;
  BackendGeneration generation = 0;
  BackendCounts baseline;
  BackendHealth health;
  WeightUse weight_use;

  // By its lifecycle and weight; whether its health lets it is the pool's business.
  bool takes_new_flows() const { return TakesNewFlows(lifecycle, desired.weight); }
};

struct PoolRecord {
  std::string name;
  PoolId id;
  uint32_t table_size = 0;
  config::PoolPolicy policy = {};
  std::optional<config::HealthCheckConfig> health_check = {};
  std::vector<BackendRecord> backends;  // by name

  // Backends that take new flows by their lifecycle and weight, and those of them whose health lets them.
  size_t takers() const;
  size_t usable() const;
  // So few of the takers are usable that all of them are used; where none is and there is a backup, that is used
  // instead.
  bool is_in_panic() const;
  // Backends that get new flows.
  size_t active() const { return is_in_panic() ? takers() : usable(); }
  // Null when there is none.
  const BackendRecord* Find(std::string_view backend) const;
};

struct VipRecord {
  DesiredVip desired;
  // Stands for address or prefix, protocol and ports: entries of the connection table name a VIP by it.
  VipId id;
  PoolId pool;
  VipCounts baseline;
};

// How many objects this instance can hold; the data plane's tables are sized for them at start.
struct Limits {
  uint32_t vips = 0;
  uint32_t pools = 0;
  uint32_t backends = 0;
};

struct Registry {
  explicit Registry(const Limits& limits)
      : vip_ids(limits.vips), pool_ids(limits.pools), backend_ids(limits.backends) {}

  std::string seed;                                  // 32 hexadecimal digits, lower case
  std::vector<config::CookieKeyConfig> cookie_keys;  // by number, each with its secret in lower case
  uint32_t cookie_quarantine_s = 24 * 3600;
  std::vector<config::QuicConfig> quic_configs;  // likewise
  std::vector<RestingCookieId> resting_cookie_ids;
  // Shared between registries that agree on them: one backend's change copies its pool only.
  std::vector<std::shared_ptr<const PoolRecord>> pools;                                             // by name
  std::shared_ptr<const std::vector<VipRecord>> vips = std::make_shared<std::vector<VipRecord>>();  // by name
  IdAllocator vip_ids;
  IdAllocator pool_ids;
  IdAllocator backend_ids;

  // Null when there is none.
  const PoolRecord* FindPool(std::string_view name) const;
  const VipRecord* FindVip(std::string_view name) const;
  // kNotFound, naming what there is none of.
  absl::StatusOr<const PoolRecord*> GetPool(std::string_view name) const;
  absl::StatusOr<const BackendRecord*> GetBackend(std::string_view pool, std::string_view backend) const;

  size_t BackendCount() const;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_REGISTRY_H_
