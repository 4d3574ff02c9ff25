#include "controlplane/model/id_allocator.h"

#include "dataplane/base/check.h"

namespace sluice::model {

std::optional<IdAllocator::Allocation> IdAllocator::Allocate(const IsFree& is_free) {
  if (uses_.size() < limit_) {
    // The first generation is 1: an entry of zeroed memory never matches.
    uses_.push_back(1);
    return Allocation{static_cast<uint16_t>(uses_.size() - 1), 1};
  }
  // The oldest is free first: whoever has swept since a later generation has swept since an earlier one.
  if (quarantine_.empty() || !is_free(quarantine_.front().absent_since)) return std::nullopt;
  const uint16_t id = quarantine_.front().id;
  quarantine_.pop_front();
  return Allocation{id, ++uses_[id]};
}

void IdAllocator::Release(uint16_t id, uint64_t absent_since) {
  SLUICE_CHECK(id < uses_.size());
  SLUICE_CHECK(quarantine_.empty() || quarantine_.back().absent_since <= absent_since);
  quarantine_.push_back({id, absent_since});
}

}  // namespace sluice::model
