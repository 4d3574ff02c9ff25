#include "controlplane/store/segment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <utility>

#include "controlplane/model/text.h"
#include "controlplane/store/state_file.h"

namespace sluice::store {
namespace {

using model::Cat;

constexpr uint64_t kPage = 4096;
// Room for so many changes like the first, within limits: large enough that few changes have to make a new file.
constexpr uint64_t kChanges = 64;
constexpr uint64_t kMinRoom = 1 << 20;
constexpr uint64_t kMaxRoom = 64 << 20;

absl::Status WriteAll(int fd, std::string_view bytes, uint64_t offset, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError(errno, "write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

// A new file of `size` bytes under its name; the descriptor is the caller's.
absl::StatusOr<int> Make(const std::string& directory, std::string_view name, std::string_view content, uint64_t size) {
  const std::string unfinished = Cat(directory, "/", kUnfinished, ".", name);
  const std::string path = Cat(directory, "/", name);
  const int fd = open(unfinished.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FileError(errno, "create", unfinished);
  absl::Status status = WriteAll(fd, content, 0, unfinished);
  const std::string zeros(64 << 10, '\0');
  for (uint64_t at = content.size(); status.ok() && at < size; at += zeros.size()) {
    status = WriteAll(fd, std::string_view(zeros).substr(0, size - at), at, unfinished);
  }
  if (status.ok() && fsync(fd) != 0) status = FileError(errno, "sync", unfinished);
  if (status.ok() && rename(unfinished.c_str(), path.c_str()) != 0) status = FileError(errno, "rename", unfinished);
  if (!status.ok()) unlink(unfinished.c_str());
  if (status.ok()) status = SyncDirectory(directory);
  if (status.ok()) return fd;
  close(fd);
  return status;
}

}  // namespace

absl::Status FileError(int error, std::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(error, Cat("state: cannot ", what, " ", path));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", path);
  std::string text;
  std::vector<char> buffer(256 << 10);
  for (;;) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = errno;
      close(fd);
      if (n < 0) return FileError(error, "read", path);
      return text;
    }
    text.append(buffer.data(), static_cast<size_t>(n));
  }
}

absl::Status SyncDirectory(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", directory);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error == 0 ? absl::OkStatus() : FileError(error, "sync", directory);
}

absl::Status ReplaceFile(const std::string& directory, std::string_view name, std::string_view content) {
  const absl::StatusOr<int> fd = Make(directory, name, content, content.size());
  if (!fd.ok()) return fd.status();
  close(*fd);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Segment>> Segment::Create(const std::string& directory, std::string_view name,
                                                         std::string_view content, uint64_t bytes) {
  const uint64_t room = std::clamp(std::max<uint64_t>(content.size(), bytes) * kChanges, kMinRoom, kMaxRoom);
  const uint64_t size = (std::max<uint64_t>(room, content.size()) + kPage - 1) / kPage * kPage;
  const absl::StatusOr<int> fd = Make(directory, name, content, size);
  if (!fd.ok()) {
    unlink(Cat(directory, "/", name).c_str());
    return fd.status();
  }
  return std::unique_ptr<Segment>(new Segment(Cat(directory, "/", name), *fd, content.size(), size));
}

absl::StatusOr<std::unique_ptr<Segment>> Segment::Open(const std::string& directory, std::string_view name,
                                                       uint64_t used) {
  std::string path = Cat(directory, "/", name);
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", path);
  struct stat info {};
  if (fstat(fd, &info) != 0) {
    const int error = errno;
    close(fd);
    return FileError(error, "look at", path);
  }
  return std::unique_ptr<Segment>(new Segment(std::move(path), fd, used, static_cast<uint64_t>(info.st_size)));
}

Segment::~Segment() { close(fd_); }

uint64_t Segment::next() const { return (used_ + kPage - 1) / kPage * kPage; }

absl::Status Segment::WriteAt(uint64_t offset, std::string_view bytes) {
  if (absl::Status status = WriteAll(fd_, bytes, offset, path_); !status.ok()) return status;
  return fdatasync(fd_) == 0 ? absl::OkStatus() : FileError(errno, "sync", path_);
}

absl::Status Segment::Append(std::string_view content) {
  const uint64_t offset = next();
  if (absl::Status status = WriteAt(offset, content); !status.ok()) return status;
  used_ = offset + content.size();
  return absl::OkStatus();
}

absl::Status Segment::Erase(uint64_t offset, uint64_t bytes) {
  used_ = std::min(used_, offset);
  return WriteAt(offset, std::string(bytes, '\0'));
}

Scan ScanSegment(std::string_view bytes, uint64_t first) {
  Scan scan;
  std::optional<Scan::Part> damaged;
  uint64_t last = 0;  // the newest version so far
  const auto end_damage = [&](uint64_t at) {
    if (!damaged) return;
    damaged->bytes = at - damaged->offset;
    scan.damaged.push_back(*damaged);
    last = std::max(last, damaged->version);
    damaged.reset();
  };
  const uint64_t end = bytes.find_last_not_of('\0') == std::string_view::npos ? 0 : bytes.find_last_not_of('\0') + 1;
  for (uint64_t at = 0; at < end;) {
    if (bytes[at] == '\0' && !damaged) {
      at = bytes.find_first_not_of('\0', at);
      continue;
    }
    const std::string_view rest = bytes.substr(at);
    if (const size_t length = SealedLength(rest); length > 0) {
      end_damage(at);
      scan.whole.push_back({at, length, VersionIn(rest)});
      last = std::max(last, scan.whole.back().version);
      at += length;
      continue;
    }
    if (!damaged) damaged = Scan::Part{at, 0, std::max(first, last + 1)};
    damaged->version = std::max(damaged->version, VersionIn(rest));
    // Changes can be found again where one begins.
    const size_t next = bytes.find(kMagic, at + 1);
    at = next == std::string_view::npos ? end : next;
  }
  end_damage(end);
  return scan;
}

}  // namespace sluice::store
