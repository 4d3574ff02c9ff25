#ifndef SLUICE_CONTROLPLANE_RPC_AUDIT_H_
#define SLUICE_CONTROLPLANE_RPC_AUDIT_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice::rpc {

// What the audit log says of one call that changes something, whether it did or was refused.
struct AuditRecord {
  std::string user;
  std::string peer;    // where the call came from, in gRPC's words
  std::string action;  // "DrainBackend"
  std::string object;  // "backend web/web-1"
  absl::Status result;
  uint64_t version = 0;  // of the desired state afterwards
  std::vector<std::string> changes;
};

// One line of JSON: {"time":"2026-11-20T11:43:02.123Z","user":"local",...}
std::string AuditLine(const AuditRecord& record, int64_t unix_ms);

// Writes to the log and, where it has one, to a file of its own, which is only ever appended to and is opened anew for
// each record, so that it may be rotated at any time. Any thread.
class AuditLog {
 public:
  // `path`: empty, or the file. What keeps it from being written is an error.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& path);
  void Write(const AuditRecord& record);

 private:
  explicit AuditLog(std::string path) : path_(std::move(path)) {}
  absl::Status Append(std::string_view line);

  const std::string path_;
  std::mutex mutex_;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_AUDIT_H_
