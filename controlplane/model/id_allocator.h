#ifndef SLUICE_CONTROLPLANE_MODEL_ID_ALLOCATOR_H_
#define SLUICE_CONTROLPLANE_MODEL_ID_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

namespace sluice::model {

// Gives out the small dense numbers that workers use for VIPs, pools and backends. A worker's connection table may hold
// an id after its object is gone, so a number that was given back waits in quarantine until no worker can hold it.
// A value: the model copies it to try a change and throws the copy away when the change is refused.
class IdAllocator {
 public:
  struct Allocation {
    uint16_t id = 0;
    // Differs between consecutive uses of the same id; wraps after 65 536 of them.
    uint16_t generation = 0;
  };
  // Whether an id that is absent since a state generation may be used again.
  using IsFree = std::function<bool(uint64_t absent_since)>;

  // Ids are 0 to `limit` - 1.
  explicit IdAllocator(uint32_t limit) : limit_(limit) {}

  // Takes an id that was never used while there is one, so that a number rests as long as possible, then the one
  // longest in quarantine if `is_free` allows. Nothing when all ids are in use or in quarantine.
  std::optional<Allocation> Allocate(const IsFree& is_free);
  // Gives back an id that no state from generation `absent_since` on contains. Generations must not decrease from call
  // to call.
  void Release(uint16_t id, uint64_t absent_since);

  uint32_t limit() const { return limit_; }
  size_t used() const { return uses_.size() - quarantine_.size(); }
  size_t quarantined() const { return quarantine_.size(); }

 private:
  struct Resting {
    uint16_t id;
    uint64_t absent_since;
  };
  uint32_t limit_;
  std::vector<uint16_t> uses_;      // by id, for ids that were ever used
  std::deque<Resting> quarantine_;  // oldest first
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_ID_ALLOCATOR_H_
