#ifndef SLUICE_CONTROLPLANE_STORE_SPARE_SEGMENT_H_
#define SLUICE_CONTROLPLANE_STORE_SPARE_SEGMENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "controlplane/store/segment.h"

namespace sluice::store {

// The name of a segment that no change is in yet. It has its room already, so the first change is one write in it as
// any other, and gets its name when nobody waits for that.
inline constexpr std::string_view kSpare = "spare";

// Makes the segment that follows the one in use, beside the changes, so that none has to wait for a new file: that is a
// megabyte and more to write, and two syncs. Each one is made by a thread that ends with it and runs where its maker
// may. One user.
class SpareSegment {
 public:
  explicit SpareSegment(std::string directory) : directory_(std::move(directory)) {}
  // Waits for what has begun, as the others do.
  ~SpareSegment() { Finish(); }
  SpareSegment(const SpareSegment&) = delete;
  SpareSegment& operator=(const SpareSegment&) = delete;

  // Of before a restart; it has no change in it.
  void Give(std::unique_ptr<Segment> segment);
  // Begins to make a segment for changes of about `bytes` where there is none. `settle` is done before, on the thread
  // too; where it fails none is made.
  void Prepare(uint64_t bytes, std::function<absl::Status()> settle);
  // The segment; null: there is none with room for `bytes`.
  std::unique_ptr<Segment> Take(uint64_t bytes);
  void Finish();

 private:
  const std::string directory_;
  std::unique_ptr<Segment> segment_;
  std::thread thread_;
};

}  // namespace sluice::store

#endif  // SLUICE_CONTROLPLANE_STORE_SPARE_SEGMENT_H_
