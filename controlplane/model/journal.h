#ifndef SLUICE_CONTROLPLANE_MODEL_JOURNAL_H_
#define SLUICE_CONTROLPLANE_MODEL_JOURNAL_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/model/desired_state.h"
#include "controlplane/model/resting_cookie_id.h"

// What became of the truth over time. The reconciler writes every accepted change here before the workers see it.
namespace sluice::model {

// Who makes a change, and how.
struct Author {
  std::string user = "local";
  std::string action;  // "Apply", "DrainBackend"
};

// What comes along with every change.
struct ChangeRequest {
  Author author = {};
  // The version that the author has seen; another one in force is kAborted. 0: whatever is in force.
  uint64_t expected_version = 0;
};

struct ChangeEntry {
  uint64_t version = 0;  // counts changes
  std::chrono::system_clock::time_point at;
  Author author;
  std::vector<std::string> lines;  // cut after kMaxLines
  uint64_t lines_total = 0;
  static constexpr size_t kMaxLines = 100;
};

// All that has to survive the process.
struct KeptState {
  DesiredState desired;
  // Pool and backend that an operator drains, where the document does not say anything.
  std::vector<std::pair<std::string, std::string>> operator_drains;
  // Connections outlive sluiced, so the rest goes on after it.
  std::vector<RestingCookieId> resting_cookie_ids;
  friend bool operator==(const KeptState&, const KeptState&) = default;
};

// A change and the state after it.
struct RecordedChange {
  ChangeEntry entry;
  KeptState state;
};

class Journal {
 public:
  virtual ~Journal() = default;
  // Keeps changes, the oldest first; all or none. Where the journal is durable, they are on disk when this returns OK.
  // Under the reconciler's change mutex.
  virtual absl::Status Record(const std::vector<RecordedChange>& changes) = 0;
  // The change that was recorded last did not come about.
  virtual void Revoke(uint64_t version) = 0;
  // Versions up to this one were given out, by earlier runs too, whether their states are still whole or not; new ones
  // are beyond.
  virtual uint64_t VersionsUsed() const { return 0; }
  // The newest first. Any thread.
  virtual std::vector<ChangeEntry> Entries() const = 0;
  // The state right after a change. kNotFound: not kept. Any thread.
  virtual absl::StatusOr<KeptState> StateAt(uint64_t version) const = 0;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_JOURNAL_H_
