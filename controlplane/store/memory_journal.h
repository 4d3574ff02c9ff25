#ifndef SLUICE_CONTROLPLANE_STORE_MEMORY_JOURNAL_H_
#define SLUICE_CONTROLPLANE_STORE_MEMORY_JOURNAL_H_

#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "controlplane/model/journal.h"

namespace sluice::store {

// A journal that ends with the process; for where a file is the truth.
class MemoryJournal : public model::Journal {
 public:
  explicit MemoryJournal(size_t capacity = 20) : capacity_(capacity) {}

  absl::Status Record(const std::vector<model::RecordedChange>& changes) override;
  void Revoke(uint64_t version) override;
  std::vector<model::ChangeEntry> Entries() const override;
  absl::StatusOr<model::KeptState> StateAt(uint64_t version) const override;

 private:
  const size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<std::pair<model::ChangeEntry, model::KeptState>> kept_;  // newest first
};

// What all journals answer for a version that they do not keep.
absl::Status NotKept(uint64_t version, const std::vector<model::ChangeEntry>& entries);

}  // namespace sluice::store

#endif  // SLUICE_CONTROLPLANE_STORE_MEMORY_JOURNAL_H_
