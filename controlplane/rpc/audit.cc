#include "controlplane/rpc/audit.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "controlplane/model/text.h"
#include "controlplane/rpc/grpc_status.h"
#include "dataplane/base/log.h"

namespace sluice::rpc {
namespace {

using model::Cat;

// No text of a client can break the line.
std::string Json(std::string_view text) { return model::JsonString(text, /*ascii_only=*/true); }

std::string TimeText(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[40];
  const size_t n = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + n, sizeof(text) - n, ".%03dZ", static_cast<int>(unix_ms % 1000));
  return text;
}

}  // namespace

std::string AuditLine(const AuditRecord& record, int64_t unix_ms) {
  constexpr size_t kMaxChanges = 100;
  std::string line =
      Cat("{\"time\":", Json(TimeText(unix_ms)), ",\"user\":", Json(record.user), ",\"peer\":", Json(record.peer),
          ",\"action\":", Json(record.action), ",\"object\":", Json(record.object),
          ",\"result\":", Json(absl::StatusCodeToString(record.result.code())));
  if (!record.result.ok()) {
    line += Cat(",\"reason\":", Json(LogText(record.result)));
  } else {
    line += Cat(",\"version\":", record.version, ",\"changes_total\":", record.changes.size(), ",\"changes\":[");
    for (size_t i = 0; i < record.changes.size() && i < kMaxChanges; ++i) {
      line += Cat(i == 0 ? "" : ",", Json(record.changes[i]));
    }
    line += "]";
  }
  return line + "}\n";
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::string& path) {
  std::unique_ptr<AuditLog> log(new AuditLog(path));
  if (absl::Status status = log->Append(""); !status.ok()) return status;
  return log;
}

absl::Status AuditLog::Append(std::string_view line) {
  if (path_.empty()) return absl::OkStatus();
  const auto failed = [&](int error) {
    return absl::ErrnoToStatus(error, Cat("node.api.audit_log: cannot write ", path_));
  };
  const std::lock_guard lock(mutex_);
  const int fd = open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return failed(errno);
  const bool written = line.empty() || write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const int error = written && fdatasync(fd) == 0 ? 0 : errno;
  close(fd);
  return error == 0 ? absl::OkStatus() : failed(error);
}

void AuditLog::Write(const AuditRecord& record) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::string line = AuditLine(record, std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  if (absl::Status status = Append(line); !status.ok()) {
    SLUICE_LOG(kError) << "audit: " << std::string(status.message()) << "; the record: " << line;
  }
  if (record.result.ok()) {
    SLUICE_LOG(kInfo) << "audit: " << record.user << " (" << record.peer << "): " << record.action << " "
                      << record.object << ", version " << record.version;
  } else {
    SLUICE_LOG(kWarning) << "audit: " << record.user << " (" << record.peer << "): " << record.action << " "
                         << record.object << " refused: " << LogText(record.result);
  }
}

}  // namespace sluice::rpc
