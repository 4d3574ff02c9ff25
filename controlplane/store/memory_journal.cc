#include "controlplane/store/memory_journal.h"

#include "controlplane/model/text.h"

namespace sluice::store {

absl::Status NotKept(uint64_t version, const std::vector<model::ChangeEntry>& entries) {
  if (entries.empty()) {
    return absl::NotFoundError(model::Cat("version ", version, ": no change is kept yet"));
  }
  return absl::NotFoundError(model::Cat("version ", version, ": is not kept; those from ", entries.back().version,
                                        " to ", entries.front().version, " are (`sluicectl history`)"));
}

absl::Status MemoryJournal::Record(const std::vector<model::RecordedChange>& changes) {
  const std::lock_guard lock(mutex_);
  for (const model::RecordedChange& change : changes) {
    kept_.emplace_front(change.entry, change.state);
    if (kept_.size() > capacity_) kept_.pop_back();
  }
  return absl::OkStatus();
}

void MemoryJournal::Revoke(uint64_t version) {
  const std::lock_guard lock(mutex_);
  if (!kept_.empty() && kept_.front().first.version == version) kept_.pop_front();
}

std::vector<model::ChangeEntry> MemoryJournal::Entries() const {
  const std::lock_guard lock(mutex_);
  std::vector<model::ChangeEntry> entries;
  for (const auto& [entry, state] : kept_) entries.push_back(entry);
  return entries;
}

absl::StatusOr<model::KeptState> MemoryJournal::StateAt(uint64_t version) const {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [entry, state] : kept_) {
      if (entry.version == version) return state;
    }
  }
  return NotKept(version, Entries());
}

}  // namespace sluice::store
