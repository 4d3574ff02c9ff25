#include "controlplane/store/file_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "controlplane/model/text.h"
#include "controlplane/store/memory_journal.h"
#include "controlplane/store/state_file.h"

namespace sluice::store {
namespace {

namespace fs = std::filesystem;
using model::Cat;

constexpr std::string_view kPrefix = "change-";
constexpr std::string_view kUnfinished = "unfinished";
// Enough to go back over a bad day; the largest states take some megabytes each.
constexpr size_t kKept = 50;

absl::Status FromErrno(int error, std::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(error, Cat("state: cannot ", what, " ", path));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, "open", path);
  std::string text;
  std::vector<char> buffer(256 << 10);
  for (;;) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = errno;
      close(fd);
      if (n < 0) return FromErrno(error, "read", path);
      return text;
    }
    text.append(buffer.data(), static_cast<size_t>(n));
  }
}

// A file that is open for writing.
class NewFile {
 public:
  explicit NewFile(std::string path)
      : path_(std::move(path)),
        fd_(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)),
        error_(fd_ < 0 ? errno : 0) {}
  ~NewFile() {
    if (fd_ >= 0) close(fd_);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  const std::string& path() const { return path_; }

  absl::Status Write(std::string_view text) {
    if (fd_ < 0) return FromErrno(error_, "create", path_);
    while (!text.empty()) {
      const ssize_t n = write(fd_, text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FromErrno(errno, "write", path_);
      text.remove_prefix(static_cast<size_t>(n));
    }
    return absl::OkStatus();
  }
  // Returns once the bytes are on the disk.
  absl::Status Sync() {
    if (fsync(fd_) != 0) return FromErrno(errno, "sync", path_);
    return close(std::exchange(fd_, -1)) == 0 ? absl::OkStatus() : FromErrno(errno, "close", path_);
  }

 private:
  const std::string path_;
  int fd_;
  const int error_;
};

// Of the name of a change's file, also one that was set aside.
uint64_t VersionOf(std::string_view name) {
  name.remove_prefix(kPrefix.size());
  uint64_t version = 0;
  std::from_chars(name.data(), name.data() + name.size(), version);
  return version;
}

}  // namespace

FileJournal::~FileJournal() { close(lock_fd_); }

absl::StatusOr<std::unique_ptr<FileJournal>> FileJournal::Open(const std::string& directory) {
  std::error_code error;
  if (fs::create_directories(directory, error)) {
    fs::permissions(directory, fs::perms::owner_all, error);
  }
  if (error) {
    return FromErrno(error.value(), "create the directory",
                     directory + "; run sluiced as root or name another one in node.state_directory");
  }
  const std::string lock = directory + "/lock";
  const int fd = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FromErrno(errno, "open", lock + "; node.state_directory must be writable for sluiced");
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return absl::AlreadyExistsError(
        Cat("state: another sluiced uses ", directory, "; stop it or give each a node.state_directory of its own"));
  }
  std::unique_ptr<FileJournal> journal(new FileJournal(directory, fd));
  journal->Read();
  return journal;
}

void FileJournal::Read() {
  std::vector<std::string> names;
  std::vector<fs::path> unfinished;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory_, error)) {
    const std::string name = file.path().filename().string();
    if (name.starts_with(kUnfinished)) unfinished.push_back(file.path());
    if (!name.starts_with(kPrefix)) continue;
    if (name.ends_with(".damaged")) {
      damaged_up_to_ = std::max(damaged_up_to_, VersionOf(name));
    } else {
      names.push_back(name);
    }
  }
  for (const fs::path& path : unfinished) fs::remove(path, error);
  // Names have numbers of one width, so that their order is that of the changes.
  std::sort(names.begin(), names.end(), std::greater<>());
  std::optional<Found> found;
  size_t damaged = 0;
  const auto set_aside = [&](const std::string& path, const absl::Status& why) {
    ++damaged;
    warnings_.push_back(Cat(path, " ", std::string(why.message()), "; it is set aside as ", path, ".damaged"));
    damaged_up_to_ = std::max(damaged_up_to_, VersionOf(fs::path(path).filename().string()));
    std::error_code ignored;
    fs::rename(path, path + ".damaged", ignored);
  };
  for (const std::string& name : names) {
    const std::string path = Cat(directory_, "/", name);
    const absl::StatusOr<std::string> text = ReadFile(path);
    absl::StatusOr<model::ChangeEntry> entry = text.ok() ? DecodeEntry(*text) : text.status();
    if (!entry.ok()) {
      set_aside(path, entry.status());
      continue;
    }
    if (!found) {
      absl::StatusOr<model::KeptState> state = DecodeState(*text);
      if (!state.ok()) {
        set_aside(path, state.status());
        continue;
      }
      found = Found{entry->version, *std::move(state)};
    }
    entries_.push_back(*std::move(entry));
  }
  if (found && damaged > 0) {
    warnings_.push_back(Cat("the last good state is that of version ", found->version, ", and is used"));
  }
  if (!found && damaged > 0) {
    found_ = absl::DataLossError(Cat("state: none of the ", damaged, " states in ", directory_,
                                     " is whole; restore one from a backup, or empty the directory to start with the "
                                     "services of the configuration file"));
    return;
  }
  found_ = std::move(found);
}

std::string FileJournal::PathOf(uint64_t version) const {
  char number[32];
  std::snprintf(number, sizeof(number), "%020llu", static_cast<unsigned long long>(version));
  return Cat(directory_, "/", kPrefix, std::string_view(number));
}

absl::Status FileJournal::SyncDirectory() const {
  const int fd = open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, "open", directory_);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error == 0 ? absl::OkStatus() : FromErrno(error, "sync", directory_);
}

absl::Status FileJournal::WriteNote(std::string_view name, std::string_view text) {
  const std::string path = Cat(directory_, "/", name);
  NewFile file(Cat(directory_, "/", kUnfinished, ".", name));
  absl::Status status = file.Write(Seal(text));
  if (status.ok()) status = file.Sync();
  if (status.ok() && rename(file.path().c_str(), path.c_str()) != 0) status = FromErrno(errno, "rename", file.path());
  if (!status.ok()) {
    unlink(file.path().c_str());
    return status;
  }
  return SyncDirectory();
}

absl::StatusOr<std::string> FileJournal::ReadNote(std::string_view name) const {
  const absl::StatusOr<std::string> sealed = ReadFile(Cat(directory_, "/", name));
  if (!sealed.ok()) return sealed.status();
  const absl::StatusOr<std::string_view> text = Unseal(*sealed);
  if (!text.ok()) return absl::DataLossError(Cat(directory_, "/", name, " ", std::string(text.status().message())));
  return std::string(*text);
}

absl::Status FileJournal::Record(const std::vector<model::RecordedChange>& changes) {
  std::deque<NewFile> files;
  size_t renamed = 0;
  const auto make = [&]() -> absl::Status {
    for (const model::RecordedChange& change : changes) {
      NewFile& file = files.emplace_back(Cat(directory_, "/", kUnfinished, ".", files.size()));
      if (absl::Status status = file.Write(Encode(change.entry, change.state)); !status.ok()) return status;
    }
    // All are written before the first is synced, so that the file system can do it at once.
    for (NewFile& file : files) {
      if (absl::Status status = file.Sync(); !status.ok()) return status;
    }
    for (; renamed < files.size(); ++renamed) {
      const std::string& unfinished = files[renamed].path();
      if (rename(unfinished.c_str(), PathOf(changes[renamed].entry.version).c_str()) != 0) {
        return FromErrno(errno, "rename", unfinished);
      }
    }
    return SyncDirectory();
  };
  if (absl::Status status = make(); !status.ok()) {
    for (size_t i = 0; i < files.size(); ++i) {
      unlink(i < renamed ? PathOf(changes[i].entry.version).c_str() : files[i].path().c_str());
    }
    return status;
  }
  const std::lock_guard lock(mutex_);
  for (const model::RecordedChange& change : changes) entries_.push_front(change.entry);
  Prune();
  return absl::OkStatus();
}

void FileJournal::Prune() {
  while (entries_.size() > kKept) {
    unlink(PathOf(entries_.back().version).c_str());
    entries_.pop_back();
  }
}

void FileJournal::Revoke(uint64_t version) {
  {
    const std::lock_guard lock(mutex_);
    if (entries_.empty() || entries_.front().version != version) return;
    entries_.pop_front();
  }
  unlink(PathOf(version).c_str());
  // Without it the change may be back after a loss of power, as one whose answer got lost could be.
  SyncDirectory().IgnoreError();
}

std::vector<model::ChangeEntry> FileJournal::Entries() const {
  const std::lock_guard lock(mutex_);
  return {entries_.begin(), entries_.end()};
}

absl::StatusOr<model::KeptState> FileJournal::StateAt(uint64_t version) const {
  const std::vector<model::ChangeEntry> entries = Entries();
  const bool kept = std::any_of(entries.begin(), entries.end(),
                                [&](const model::ChangeEntry& entry) { return entry.version == version; });
  if (!kept) return NotKept(version, entries);
  const absl::StatusOr<std::string> text = ReadFile(PathOf(version));
  if (!text.ok()) return text.status();
  return DecodeState(*text);
}

}  // namespace sluice::store
