#ifndef SLUICE_CONTROLPLANE_MODEL_SNAPSHOT_H_
#define SLUICE_CONTROLPLANE_MODEL_SNAPSHOT_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/model/latency.h"
#include "controlplane/model/registry.h"

// What is in force, for those who read: RPCs and metrics.
namespace sluice::model {

struct Snapshot {
  std::shared_ptr<const Registry> registry;
  uint64_t generation = 0;
  // Counts the changes of the desired state; it goes on after a restart where the journal does.
  uint64_t version = 0;
  // The desired state as it was last written down; never null. model/document.h brings it up to the registry.
  std::shared_ptr<const DesiredState> document = std::make_shared<const DesiredState>();
  // When the state of this generation was published.
  std::chrono::system_clock::time_point published_at;
  // Slots of its pool's Maglev table that each backend has, by BackendId. Shorter than the largest id when the last
  // ones have none.
  std::shared_ptr<const std::vector<uint32_t>> slots;
  // Slots of each pool whose new flows are remembered by VIPs that track unsafe ones only, by PoolId.
  std::shared_ptr<const std::vector<uint32_t>> unsafe_slots;
  // Equal on all directors that read cookies alike: of VIPs, layouts and backends' cookie ids, and of the keys.
  uint64_t cookie_ids_digest = 0;
  uint64_t cookie_keys_digest = 0;

  uint32_t SlotsOf(BackendId id) const {
    return slots != nullptr && id.index() < slots->size() ? (*slots)[id.index()] : 0;
  }
  // Share of the pool's slots that are unsafe, 0 to 1.
  double UnsafeShare(const PoolRecord& pool) const {
    if (unsafe_slots == nullptr || pool.id.index() >= unsafe_slots->size() || pool.table_size == 0) return 0;
    return static_cast<double>((*unsafe_slots)[pool.id.index()]) / pool.table_size;
  }
  // Share of the pool's slots, 0 to 1.
  double SlotShare(const PoolRecord& pool, const BackendRecord& backend) const {
    return pool.table_size == 0 ? 0 : static_cast<double>(SlotsOf(backend.id)) / pool.table_size;
  }
};

// How publishing went since the start.
struct PublishStats {
  uint64_t refused = 0;
  // From the change to the moment the workers were given the new state.
  LatencyHistogram time;
  std::chrono::nanoseconds last_time{0};
};

// Any thread; never waits for a change in progress.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  virtual Snapshot Current() const = 0;
  virtual PublishStats publish_stats() const = 0;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_SNAPSHOT_H_
