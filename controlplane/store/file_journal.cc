#include "controlplane/store/file_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <set>
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
constexpr std::string_view kDamaged = ".damaged";
// Enough to go back over a bad day; the largest states take some hundred kilobytes each.
constexpr size_t kKept = 50;

// Numbers of one width, so that the order of names is that of changes.
std::string NameOf(uint64_t version) {
  char number[32];
  std::snprintf(number, sizeof(number), "%020llu", static_cast<unsigned long long>(version));
  return Cat(kPrefix, std::string_view(number));
}

uint64_t VersionOfName(std::string_view name) {
  name.remove_prefix(kPrefix.size());
  uint64_t version = 0;
  std::from_chars(name.data(), name.data() + name.size(), version);
  return version;
}

}  // namespace

FileJournal::~FileJournal() {
  spare_.Finish();
  close(lock_fd_);
}

absl::StatusOr<std::unique_ptr<FileJournal>> FileJournal::Open(const std::string& directory) {
  std::error_code error;
  if (fs::create_directories(directory, error)) {
    fs::permissions(directory, fs::perms::owner_all, error);
  }
  if (error) {
    return FileError(error.value(), "create the directory",
                     directory + "; run sluiced as root or name another one in node.state_directory");
  }
  const std::string lock = directory + "/lock";
  const int fd = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FileError(errno, "open", lock + "; node.state_directory must be writable for sluiced");
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return absl::AlreadyExistsError(
        Cat("state: another sluiced uses ", directory, "; stop it or give each a node.state_directory of its own"));
  }
  std::unique_ptr<FileJournal> journal(new FileJournal(directory, fd));
  journal->Read();
  return journal;
}

std::vector<FileJournal::Old> FileJournal::ReadSegments() {
  std::vector<std::string> names;
  std::vector<fs::path> unfinished;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory_, error)) {
    const std::string name = file.path().filename().string();
    if (name.starts_with(kUnfinished)) unfinished.push_back(file.path());
    if (!name.starts_with(kPrefix)) continue;
    if (name.ends_with(kDamaged)) {
      damaged_up_to_ = std::max(damaged_up_to_, VersionOfName(name));
    } else {
      names.push_back(name);
    }
  }
  for (const fs::path& path : unfinished) fs::remove(path, error);
  std::sort(names.begin(), names.end());
  std::vector<Old> segments;
  for (const std::string& name : names) segments.push_back(ReadSegment(name, VersionOfName(name)));
  ReadSpare(segments);
  for (size_t i = 1; i < segments.size(); ++i) {
    // A write that failed may have left a change that was refused, and the next segment has what came instead.
    std::erase_if(segments[i - 1].scan.whole,
                  [&](const Scan::Part& part) { return part.version >= segments[i].first; });
  }
  return segments;
}

FileJournal::Old FileJournal::ReadSegment(const std::string& name, uint64_t first) {
  Old segment{.name = name, .first = first};
  absl::StatusOr<std::string> bytes = ReadFile(Cat(directory_, "/", name));
  if (bytes.ok()) {
    segment.bytes = *std::move(bytes);
    segment.scan = ScanSegment(segment.bytes, first);
  } else {
    warnings_.push_back(std::string(bytes.status().message()));
    segment.scan.damaged.push_back({0, 0, first});
  }
  return segment;
}

// One that has changes already got no name in time.
void FileJournal::ReadSpare(std::vector<Old>& segments) {
  const std::string path = Cat(directory_, "/", kSpare);
  if (access(path.c_str(), F_OK) != 0) return;
  uint64_t newest = 0;
  for (const Old& segment : segments) {
    newest = std::max(newest, segment.first);
    for (const auto* parts : {&segment.scan.whole, &segment.scan.damaged}) {
      for (const Scan::Part& part : *parts) newest = std::max(newest, part.version);
    }
  }
  Old spare = ReadSegment(std::string(kSpare), newest + 1);
  if (spare.scan.whole.empty() && spare.scan.damaged.empty()) {
    absl::StatusOr<std::unique_ptr<Segment>> segment = Segment::Open(directory_, kSpare, 0);
    if (segment.ok()) spare_.Give(*std::move(segment));
    return;
  }
  if (!spare.scan.whole.empty()) spare.first = spare.scan.whole.front().version;
  spare.name = NameOf(spare.first);
  const std::string named = Cat(directory_, "/", spare.name);
  // Where the name is taken, what is here was refused, and what came instead is there.
  if (access(named.c_str(), F_OK) == 0) {
    unlink(path.c_str());
    return;
  }
  if (rename(path.c_str(), named.c_str()) != 0) {
    warnings_.push_back(std::string(FileError(errno, "rename", path).message()));
    return;
  }
  const auto place =
      std::find_if(segments.begin(), segments.end(), [&](const Old& segment) { return segment.first > spare.first; });
  segments.insert(place, std::move(spare));
}

void FileJournal::Decode(std::vector<Old>& segments) {
  std::optional<Found> found;
  for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
    std::vector<Scan::Part>& whole = segment->scan.whole;
    for (size_t i = whole.size(); i-- > 0 && kept_.size() < kKept;) {
      const Scan::Part part = whole[i];
      const std::string_view text = std::string_view(segment->bytes).substr(part.offset, part.bytes);
      absl::StatusOr<model::ChangeEntry> entry = DecodeEntry(text);
      absl::Status status = entry.status();
      if (status.ok() && !found) {
        absl::StatusOr<model::KeptState> state = DecodeState(text);
        status = state.status();
        if (state.ok()) found = Found{entry->version, *std::move(state)};
      }
      if (status.ok()) {
        kept_.push_back({*std::move(entry), Cat(directory_, "/", segment->name), part.offset, part.bytes, 0});
        continue;
      }
      warnings_.push_back(
          Cat(directory_, "/", segment->name, ": version ", part.version, " ", std::string(status.message())));
      segment->scan.damaged.push_back(part);
      whole.erase(whole.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  found_ = std::move(found);
}

void FileJournal::Repair(const Old& segment) {
  uint64_t up_to = 0;
  for (const Scan::Part& part : segment.scan.damaged) up_to = std::max(up_to, part.version);
  damaged_up_to_ = std::max(damaged_up_to_, up_to);
  const std::string path = Cat(directory_, "/", segment.name);
  const std::string aside = Cat(directory_, "/", NameOf(up_to), kDamaged);
  unlink(aside.c_str());
  absl::Status status;
  if (link(path.c_str(), aside.c_str()) != 0) status = FileError(errno, "set aside", path);
  std::string whole;
  for (const Scan::Part& part : segment.scan.whole) whole += segment.bytes.substr(part.offset, part.bytes);
  if (status.ok() && !whole.empty()) status = ReplaceFile(directory_, segment.name, whole);
  if (status.ok() && whole.empty() && unlink(path.c_str()) != 0) status = FileError(errno, "remove", path);
  warnings_.push_back(status.ok() ? Cat(path, " is set aside as ", aside) : std::string(status.message()));
  // The changes that are whole lie elsewhere now.
  uint64_t offset = 0;
  for (const Scan::Part& part : segment.scan.whole) {
    for (Kept& kept : kept_) {
      if (status.ok() && kept.path == path && kept.offset == part.offset) kept.offset = offset;
    }
    offset += part.bytes;
  }
}

void FileJournal::Read() {
  std::vector<Old> segments = ReadSegments();
  for (const Old& segment : segments) {
    for (const Scan::Part& part : segment.scan.damaged) {
      warnings_.push_back(Cat(directory_, "/", segment.name, " is cut or altered from byte ", part.offset,
                              " on, where ", "version ", part.version, " or so should be"));
    }
  }
  Decode(segments);
  const bool damage =
      std::any_of(segments.begin(), segments.end(), [](const Old& segment) { return !segment.scan.damaged.empty(); });
  if (damage && !found_->has_value()) {
    found_ = absl::DataLossError(Cat("state: none of those in ", directory_,
                                     " is whole; restore one from a backup, or empty the directory to start with the "
                                     "services of the configuration file"));
    return;
  }
  for (const Old& segment : segments) {
    if (!segment.scan.damaged.empty()) Repair(segment);
  }
  if (damage) {
    warnings_.push_back(Cat("the last good state is that of version ", (*found_)->version, ", and is used"));
  }
  if (!segments.empty() && segments.back().scan.damaged.empty()) {
    const Scan& last = segments.back().scan;
    const uint64_t used = last.whole.empty() ? 0 : last.whole.back().offset + last.whole.back().bytes;
    absl::StatusOr<std::unique_ptr<Segment>> segment = Segment::Open(directory_, segments.back().name, used);
    if (segment.ok()) segment_ = *std::move(segment);
  }
  if (segment_ != nullptr) in_use_ = segment_->path();
  Prepare(kept_.empty() ? 0 : kept_.front().bytes);
}

absl::Status FileJournal::WriteNote(std::string_view name, std::string_view text) {
  return ReplaceFile(directory_, name, Seal(text));
}

absl::StatusOr<std::string> FileJournal::ReadNote(std::string_view name) const {
  const absl::StatusOr<std::string> sealed = ReadFile(Cat(directory_, "/", name));
  if (!sealed.ok()) return sealed.status();
  const absl::StatusOr<std::string_view> text = Unseal(*sealed);
  if (!text.ok()) return absl::DataLossError(Cat(directory_, "/", name, " ", std::string(text.status().message())));
  return std::string(*text);
}

absl::Status FileJournal::Record(const std::vector<model::RecordedChange>& changes) {
  if (changes.empty()) return absl::OkStatus();
  std::string text;
  std::vector<Kept> kept;
  for (const model::RecordedChange& change : changes) {
    const std::string one = Encode(change.entry, change.state);
    kept.push_back({change.entry, "", text.size(), one.size()});
    text += one;
  }
  const bool fits = segment_ != nullptr && segment_->HasRoomFor(text.size());
  uint64_t offset = 0;
  const absl::Status status = Write(text, changes.front().entry.version, &offset);
  if (status.ok()) {
    const std::lock_guard lock(mutex_);
    for (Kept& one : kept) {
      one.path = in_use_;
      one.offset += offset;
      one.segment = segment_number_;
      kept_.push_front(std::move(one));
    }
    if (kept_.size() > kKept) kept_.resize(kKept);
  }
  if (!fits) Prepare(text.size());
  return status;
}

absl::Status FileJournal::Write(const std::string& text, uint64_t version, uint64_t* offset) {
  const bool fits = segment_ != nullptr && segment_->HasRoomFor(text.size());
  if (!fits) {
    ++segment_number_;
    segment_ = spare_.Take(text.size());
  }
  if (segment_ == nullptr) {
    auto segment = Segment::Create(directory_, NameOf(version), text);
    if (!segment.ok()) return segment.status();
    segment_ = *std::move(segment);
    const std::lock_guard lock(mutex_);
    in_use_ = segment_->path();
    return absl::OkStatus();
  }
  *offset = segment_->next();
  if (absl::Status status = segment_->Append(text); !status.ok()) {
    segment_->Erase(*offset, text.size()).IgnoreError();
    segment_ = nullptr;
    return status;
  }
  if (!fits) {
    const std::lock_guard lock(mutex_);
    in_use_ = segment_->path();
    unnamed_ = version;
  }
  return absl::OkStatus();
}

void FileJournal::Prepare(uint64_t bytes) {
  spare_.Prepare(bytes, [this] { return Settle(); });
}

absl::Status FileJournal::Settle() {
  bool renamed = false;
  {
    const std::lock_guard lock(mutex_);
    if (unnamed_ != 0) {
      const std::string spare = Cat(directory_, "/", kSpare);
      const std::string named = Cat(directory_, "/", NameOf(unnamed_));
      if (rename(spare.c_str(), named.c_str()) != 0) return FileError(errno, "rename", spare);
      for (Kept& kept : kept_) {
        if (kept.path == spare) kept.path = named;
      }
      if (in_use_ == spare) in_use_ = named;
      unnamed_ = 0;
      renamed = true;
    }
  }
  if (renamed) {
    if (absl::Status status = SyncDirectory(directory_); !status.ok()) return status;
  }
  Prune();
  return absl::OkStatus();
}

void FileJournal::Prune() {
  std::set<std::string> used;
  {
    const std::lock_guard lock(mutex_);
    for (const Kept& kept : kept_) used.insert(kept.path);
    used.insert(in_use_);
  }
  std::error_code error;
  std::vector<fs::path> old;
  for (const auto& file : fs::directory_iterator(directory_, error)) {
    const std::string name = file.path().filename().string();
    const bool is_segment = name.starts_with(kPrefix) && !name.ends_with(kDamaged);
    if (is_segment && !used.contains(Cat(directory_, "/", name))) old.push_back(file.path());
  }
  for (const fs::path& path : old) fs::remove(path, error);
}

void FileJournal::Revoke(uint64_t version) {
  Kept kept;
  {
    const std::lock_guard lock(mutex_);
    if (kept_.empty() || kept_.front().entry.version != version) return;
    kept = std::move(kept_.front());
    kept_.pop_front();
  }
  if (segment_ == nullptr || segment_number_ != kept.segment) return;
  // Where that fails the change may be back after a restart, as one whose answer got lost could be.
  if (!segment_->Erase(kept.offset, kept.bytes).ok()) segment_ = nullptr;
}

std::vector<model::ChangeEntry> FileJournal::Entries() const {
  const std::lock_guard lock(mutex_);
  std::vector<model::ChangeEntry> entries;
  for (const Kept& kept : kept_) entries.push_back(kept.entry);
  return entries;
}

std::optional<FileJournal::Kept> FileJournal::Find(uint64_t version) const {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) { return one.entry.version == version; });
  return found == kept_.end() ? std::nullopt : std::optional<Kept>(*found);
}

absl::StatusOr<model::KeptState> FileJournal::StateAt(uint64_t version) const {
  for (;;) {
    const std::optional<Kept> kept = Find(version);
    if (!kept) return NotKept(version, Entries());
    const absl::StatusOr<std::string> bytes = ReadFile(kept->path);
    // The segment may have got its name meanwhile, and another one be where it was.
    const std::optional<Kept> still = Find(version);
    if (!still || still->path != kept->path) continue;
    if (!bytes.ok()) return bytes.status();
    if (bytes->size() < kept->offset + kept->bytes) return absl::DataLossError(Cat(kept->path, " was cut"));
    return DecodeState(std::string_view(*bytes).substr(kept->offset, kept->bytes));
  }
}

}  // namespace sluice::store
