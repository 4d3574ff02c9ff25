#ifndef SLUICE_CONTROLPLANE_STORE_FILE_JOURNAL_H_
#define SLUICE_CONTROLPLANE_STORE_FILE_JOURNAL_H_

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/model/journal.h"
#include "controlplane/store/segment.h"
#include "controlplane/store/spare_segment.h"

namespace sluice::store {

// A journal that survives kill -9 and the loss of power: a directory of segments (segment.h), each named by its first
// change. Changes that are recorded together are one write, which is synced before Record returns, and are never
// altered. Each change has the whole state in it, and the newest one that is whole is the state to start with, so a
// torn one costs the change that it was to keep and no more. The segment after the one in use is there before it is
// needed (spare_segment.h). Files of the version before, with one change each, are segments without room.
class FileJournal : public model::Journal {
 public:
  ~FileJournal() override;

  // Creates the directory where it is missing (mode 0700: states have the seed in them). kAlreadyExists: another
  // process has it open. Other errors of the file system name the path and the remedy.
  static absl::StatusOr<std::unique_ptr<FileJournal>> Open(const std::string& directory);

  struct Found {
    uint64_t version = 0;
    model::KeptState state;
  };
  // What Open found; nothing: the store is empty. `warnings`: what was wrong with it, for the log. A segment with
  // damage is set aside as NAME.damaged, and its changes that are whole are written anew. kDataLoss: there are files,
  // and none of them is of use; they stay as they are.
  const absl::StatusOr<std::optional<Found>>& found() const { return found_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

  absl::Status Record(const std::vector<model::RecordedChange>& changes) override;
  void Revoke(uint64_t version) override;
  uint64_t VersionsUsed() const override { return damaged_up_to_; }
  std::vector<model::ChangeEntry> Entries() const override;
  absl::StatusOr<model::KeptState> StateAt(uint64_t version) const override;
  // A text beside the states, as safe as these. `name`: none of a state. kNotFound: there is none; kDataLoss: it is
  // damaged.
  absl::Status WriteNote(std::string_view name, std::string_view text);
  absl::StatusOr<std::string> ReadNote(std::string_view name) const;

 private:
  // A change that is kept, and where.
  struct Kept {
    model::ChangeEntry entry;
    std::string path;
    uint64_t offset = 0;
    uint64_t bytes = 0;
    uint64_t segment = 0;  // the number of that which it was recorded in
  };
  // A segment as it was found.
  struct Old {
    std::string name;
    uint64_t first = 0;
    std::string bytes = {};
    Scan scan = {};
  };

  FileJournal(std::string directory, int lock_fd) : directory_(std::move(directory)), lock_fd_(lock_fd) {}
  void Read();
  std::vector<Old> ReadSegments();
  Old ReadSegment(const std::string& name, uint64_t first);
  void ReadSpare(std::vector<Old>& segments);
  void Decode(std::vector<Old>& segments);
  void Repair(const Old& segment);
  absl::Status Write(const std::string& text, uint64_t version, uint64_t* offset);
  std::optional<Kept> Find(uint64_t version) const;
  void Prepare(uint64_t bytes);
  // These two on the spare's thread.
  absl::Status Settle();
  void Prune();

  const std::string directory_;
  const int lock_fd_;
  absl::StatusOr<std::optional<Found>> found_ = std::optional<Found>();
  std::vector<std::string> warnings_;
  uint64_t damaged_up_to_ = 0;        // the newest change that was damaged, now or earlier
  std::unique_ptr<Segment> segment_;  // that the next changes go to; none: a new one
  uint64_t segment_number_ = 1;       // of that
  mutable std::mutex mutex_;
  std::deque<Kept> kept_;  // newest first
  std::string in_use_;     // where the newest changes went
  uint64_t unnamed_ = 0;   // the first version in a segment that still has the spare's name; 0: there is none
  SpareSegment spare_{directory_};
};

}  // namespace sluice::store

#endif  // SLUICE_CONTROLPLANE_STORE_FILE_JOURNAL_H_
