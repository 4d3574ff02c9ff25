#include "controlplane/store/spare_segment.h"

#include <utility>

namespace sluice::store {

void SpareSegment::Finish() {
  if (thread_.joinable()) thread_.join();
}

void SpareSegment::Give(std::unique_ptr<Segment> segment) {
  Finish();
  segment_ = std::move(segment);
}

void SpareSegment::Prepare(uint64_t bytes, std::function<absl::Status()> settle) {
  Finish();
  thread_ = std::thread([this, bytes, settle = std::move(settle)] {
    if (!settle().ok() || segment_ != nullptr) return;
    absl::StatusOr<std::unique_ptr<Segment>> segment = Segment::Create(directory_, kSpare, "", bytes);
    // Otherwise the change that needs one makes it, and says what is wrong with the disk.
    if (segment.ok()) segment_ = *std::move(segment);
  });
}

std::unique_ptr<Segment> SpareSegment::Take(uint64_t bytes) {
  Finish();
  std::unique_ptr<Segment> taken = std::move(segment_);
  return taken != nullptr && taken->HasRoomFor(bytes) ? std::move(taken) : nullptr;
}

}  // namespace sluice::store
