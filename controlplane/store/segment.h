#ifndef SLUICE_CONTROLPLANE_STORE_SEGMENT_H_
#define SLUICE_CONTROLPLANE_STORE_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice::store {

// `what` with `path` failed.
absl::Status FileError(int error, std::string_view what, const std::string& path);
absl::StatusOr<std::string> ReadFile(const std::string& path);
// Writes, syncs and renames, so that whoever looks finds the old file or the new one; then syncs the directory.
absl::Status ReplaceFile(const std::string& directory, std::string_view name, std::string_view content);
absl::Status SyncDirectory(const std::string& directory);

// A file of changes (state_file.h), one after the other, in room that was written with zeros before: another change
// alters neither the file's length nor where it lies, so that one write and one fdatasync keep it, and the file system
// has nothing of its own to write. What is kept together begins at a page of its own, because a loss of power while a
// page is written may cost all that is in it. One thread.
class Segment {
 public:
  // `content`, and room for more changes of it or of `bytes`. On the disk with its name when this returns.
  static absl::StatusOr<std::unique_ptr<Segment>> Create(const std::string& directory, std::string_view name,
                                                         std::string_view content, uint64_t bytes = 0);
  // One that is there, whose room begins after `used` bytes.
  static absl::StatusOr<std::unique_ptr<Segment>> Open(const std::string& directory, std::string_view name,
                                                       uint64_t used);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  // As it was named first.
  const std::string& path() const { return path_; }
  // Where the next changes would begin.
  uint64_t next() const;
  bool HasRoomFor(uint64_t bytes) const { return next() + bytes <= size_; }
  // On the disk when this returns OK. After an error nobody knows what is there: use another segment.
  absl::Status Append(std::string_view content);
  // Takes changes back, the last first.
  absl::Status Erase(uint64_t offset, uint64_t bytes);

 private:
  Segment(std::string path, int fd, uint64_t used, uint64_t size)
      : path_(std::move(path)), fd_(fd), used_(used), size_(size) {}
  absl::Status WriteAt(uint64_t offset, std::string_view bytes);

  const std::string path_;
  const int fd_;
  uint64_t used_;
  const uint64_t size_;
};

// What stands in a segment.
struct Scan {
  struct Part {
    uint64_t offset = 0;
    uint64_t bytes = 0;
    // Of a damaged part the newest that it may have had.
    uint64_t version = 0;
  };
  std::vector<Part> whole;
  std::vector<Part> damaged;  // neither a change nor room
};
// `first`: the version that the segment's name tells.
Scan ScanSegment(std::string_view bytes, uint64_t first);

}  // namespace sluice::store

#endif  // SLUICE_CONTROLPLANE_STORE_SEGMENT_H_
