#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "controlplane/store/file_journal.h"
#include "controlplane/store/memory_journal.h"
#include "controlplane/store/segment.h"
#include "controlplane/store/spare_segment.h"
#include "controlplane/store/state_file.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/controlplane/journal_sample.h"

namespace sluice::store {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FileJournalTest : public ::testing::Test {
 protected:
  std::unique_ptr<FileJournal> Open() {
    auto journal = FileJournal::Open(directory_.string());
    EXPECT_TRUE(journal.ok()) << journal.status();
    return journal.ok() ? *std::move(journal) : nullptr;
  }
  std::vector<fs::path> Segments() const {
    std::vector<fs::path> found;
    for (const auto& file : fs::directory_iterator(directory_)) {
      const std::string name = file.path().filename().string();
      if (name.starts_with("change-") && !name.ends_with(".damaged")) found.push_back(file.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  // A segment gets its name beside the changes.
  fs::path Newest() const {
    EXPECT_TRUE(WaitUntil([&] { return !Segments().empty(); }));
    return Segments().back();
  }
  fs::path Spare() const { return directory_ / kSpare; }
  static bool WaitUntil(const std::function<bool()>& condition) {
    for (int i = 0; i < 30'000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return condition();
  }
  fs::path Aside(uint64_t version) const {
    char name[48];
    std::snprintf(name, sizeof(name), "change-%020llu.damaged", static_cast<unsigned long long>(version));
    return directory_ / name;
  }
  // As a loss of power in the middle of the last write.
  void Tear(const fs::path& path) const {
    const std::string bytes = ReadFile(path.string()).value();
    fs::resize_file(path, bytes.find_last_not_of('\0') - 10);
  }

  const TemporaryDirectory temporary_;
  const fs::path directory_ = temporary_.path() / "state";
};

TEST_F(FileJournalTest, EmptyStoreIsForItsOwnerOnlyAndHasNothing) {
  const auto journal = Open();
  ASSERT_TRUE(journal->found().ok());
  EXPECT_FALSE(journal->found()->has_value());
  EXPECT_TRUE(journal->warnings().empty());
  struct stat info {};
  ASSERT_EQ(stat(directory_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_TRUE(journal->Record({{Entry(1), State()}}).ok());
  ASSERT_EQ(stat(Newest().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(FileJournalTest, NewestStateIsFoundAgain) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State(1)}}).ok());
  ASSERT_TRUE(journal->Record({{Entry(2), State(2)}}).ok());
  journal = nullptr;
  journal = Open();
  ASSERT_TRUE(journal->found().ok() && journal->found()->has_value());
  EXPECT_EQ((*journal->found())->version, 2u);
  EXPECT_EQ((*journal->found())->state, State(2));
  ASSERT_EQ(journal->Entries().size(), 2u);
  EXPECT_EQ(journal->Entries()[0].version, 2u);
  EXPECT_EQ(*journal->StateAt(1), State(1));
  EXPECT_EQ(journal->StateAt(3).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(FileJournalTest, TornFileIsSaidAndTheLastGoodStateIsUsed) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State(1)}}).ok());
  ASSERT_TRUE(journal->Record({{Entry(2), State(2)}}).ok());
  journal = nullptr;
  const fs::path torn = Newest();
  Tear(torn);
  journal = Open();
  ASSERT_TRUE(journal->found().ok() && journal->found()->has_value());
  EXPECT_EQ((*journal->found())->version, 1u);
  ASSERT_EQ(journal->warnings().size(), 3u);
  EXPECT_THAT(journal->warnings()[0], HasSubstr(torn.string() + " is cut or altered from byte 4096 on"));
  EXPECT_THAT(journal->warnings()[1], HasSubstr(Aside(2).string()));
  EXPECT_THAT(journal->warnings()[2], HasSubstr("version 1"));
  EXPECT_TRUE(fs::exists(Aside(2)));
  // Somebody may have been told of version 2: it is not given to another state, after a second restart neither.
  EXPECT_EQ(journal->VersionsUsed(), 2u);
  journal = nullptr;
  journal = Open();
  EXPECT_EQ(journal->VersionsUsed(), 2u);
  EXPECT_TRUE(journal->warnings().empty()) << journal->warnings()[0];
  EXPECT_EQ(*journal->StateAt(1), State(1));
}

TEST_F(FileJournalTest, DamageInTheMiddleCostsThatChangeAlone) {
  auto journal = Open();
  for (uint64_t version = 1; version <= 3; ++version) {
    ASSERT_TRUE(journal->Record({{Entry(version), State(static_cast<uint32_t>(version))}}).ok());
  }
  journal = nullptr;
  std::string bytes = ReadFile(Newest().string()).value();
  EXPECT_TRUE(std::string_view(bytes).substr(4096).starts_with(kMagic))
      << "pages that are kept are never written again";
  bytes[4096 + 100] ^= 1;
  std::ofstream(Newest(), std::ios::binary) << bytes;
  journal = Open();
  EXPECT_EQ((*journal->found())->version, 3u);
  EXPECT_EQ(journal->Entries().size(), 2u);
  EXPECT_EQ(*journal->StateAt(1), State(1));
  EXPECT_EQ(*journal->StateAt(3), State(3));
  EXPECT_TRUE(fs::exists(Aside(2)));
  ASSERT_TRUE(journal->Record({{Entry(4), State(4)}}).ok());
  journal = nullptr;
  journal = Open();
  EXPECT_TRUE(journal->warnings().empty());
  EXPECT_EQ((*journal->found())->version, 4u);
  EXPECT_EQ(journal->Entries().size(), 3u);
}

TEST_F(FileJournalTest, FilesOfOneChangeEachAreReadAsBefore) {
  fs::create_directories(directory_);
  model::KeptState state = State();
  state.operator_drains.clear();
  for (uint64_t version = 1; version <= 2; ++version) {
    const std::string name = Aside(version).string();
    std::ofstream(name.substr(0, name.find(".damaged"))) << Plain(version, state);
  }
  auto journal = Open();
  EXPECT_EQ((*journal->found())->version, 2u);
  EXPECT_EQ(*journal->StateAt(1), state);
  ASSERT_TRUE(journal->Record({{Entry(3), State(3)}}).ok());
  journal = nullptr;
  journal = Open();
  EXPECT_EQ((*journal->found())->state, State(3));
  EXPECT_EQ(journal->Entries().size(), 3u);
}

// What a write that failed may have left behind does not come back in the place of what was accepted after it.
TEST_F(FileJournalTest, TheNextSegmentGoesBeforeTheEndOfTheLast) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(2), State(9)}}).ok());
  const fs::path accepted = Newest();
  fs::rename(accepted, directory_.parent_path() / "accepted");
  journal = nullptr;
  journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State(1)}}).ok());
  ASSERT_TRUE(journal->Record({{Entry(2), State(2)}}).ok());
  journal = nullptr;
  fs::rename(directory_.parent_path() / "accepted", accepted);
  journal = Open();
  EXPECT_EQ((*journal->found())->state, State(9));
  EXPECT_EQ(journal->Entries().size(), 2u);
  EXPECT_EQ(*journal->StateAt(2), State(9));
}

TEST_F(FileJournalTest, ChangesThatCameTogetherAreAllKept) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State(1)}, {Entry(2), State(2)}, {Entry(3), State(3)}}).ok());
  journal->Revoke(3);
  journal = nullptr;
  journal = Open();
  EXPECT_EQ((*journal->found())->version, 2u);
  EXPECT_EQ(*journal->StateAt(1), State(1));
  EXPECT_EQ(*journal->StateAt(2), State(2));
  EXPECT_EQ(journal->Entries().size(), 2u);
}

TEST_F(FileJournalTest, StoreWithoutAGoodStateIsNotTakenForAnEmptyOne) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State()}}).ok());
  journal = nullptr;
  std::ofstream(Newest()) << "rubbish";
  for (int start = 0; start < 2; ++start) EXPECT_EQ(Open()->found().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(FileJournalTest, UnfinishedWriteIsNoState) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State(1)}}).ok());
  journal = nullptr;
  std::ofstream(directory_ / "unfinished.change-2") << "sluice-state 1 crc32c=";
  journal = Open();
  EXPECT_EQ((*journal->found())->version, 1u);
  EXPECT_TRUE(journal->warnings().empty());
  EXPECT_FALSE(fs::exists(directory_ / "unfinished.change-2"));
}

TEST_F(FileJournalTest, RevokedChangeIsGone) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State(1)}}).ok());
  ASSERT_TRUE(journal->Record({{Entry(2), State(2)}}).ok());
  journal->Revoke(2);
  EXPECT_EQ(journal->Entries().size(), 1u);
  journal = nullptr;
  EXPECT_EQ((*Open()->found())->version, 1u);
}

TEST_F(FileJournalTest, OneProcessHasTheStore) {
  const auto journal = Open();
  EXPECT_EQ(FileJournal::Open(directory_.string()).status().code(), absl::StatusCode::kAlreadyExists);
}

// No byte can be written to any file.
class NoWrites {
 public:
  NoWrites() {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none = {0, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoWrites() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit before_ = {};
};

TEST_F(FileJournalTest, WhatCannotBeWrittenIsAnErrorAndLeavesNothing) {
  auto journal = Open();
  {
    const NoWrites no_writes;
    EXPECT_FALSE(journal->Record({{Entry(1), State()}}).ok());
  }
  ASSERT_TRUE(journal->Record({{Entry(1), State(1)}}).ok());
  {
    const NoWrites no_writes;
    EXPECT_FALSE(journal->Record({{Entry(2), State()}, {Entry(3), State()}}).ok());
  }
  EXPECT_EQ(journal->Entries().size(), 1u);
  ASSERT_TRUE(journal->Record({{Entry(2), State(2)}}).ok());
  journal = nullptr;
  journal = Open();
  EXPECT_EQ((*journal->found())->state, State(2));
  EXPECT_EQ(journal->Entries().size(), 2u);
  EXPECT_TRUE(journal->warnings().empty());
}

// No file can be opened, so none can be made.
class NoNewFiles {
 public:
  NoNewFiles() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none = {0, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoNewFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

TEST_F(FileJournalTest, AChangeThatFindsItsSegmentFullHasAnotherOneReady) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State()}}).ok());
  const fs::path first = Newest();
  ASSERT_TRUE(WaitUntil([&] { return fs::exists(Spare()); }));
  uint64_t version = 1;
  {
    const NoNewFiles no_new_files;
    for (; version < 400; ++version) ASSERT_TRUE(journal->Record({{Entry(version + 1), State()}}).ok()) << version;
  }
  EXPECT_EQ(*journal->StateAt(version), State());
  journal = nullptr;
  EXPECT_GT(version * 4096, fs::file_size(Newest()));
  EXPECT_NE(Newest(), first);
  journal = Open();
  EXPECT_TRUE(journal->warnings().empty()) << journal->warnings()[0];
  EXPECT_EQ((*journal->found())->version, version);
  EXPECT_EQ(journal->Entries().size(), 50u);
}

// Killed after a change was answered and before its segment had its name.
TEST_F(FileJournalTest, ChangesInTheSpareAreFound) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State(1)}}).ok());
  ASSERT_TRUE(journal->Record({{Entry(2), State(2)}}).ok());
  journal = nullptr;
  const fs::path named = Newest();
  fs::rename(named, Spare());
  journal = Open();
  EXPECT_TRUE(journal->warnings().empty());
  EXPECT_EQ((*journal->found())->state, State(2));
  EXPECT_TRUE(fs::exists(named));
  ASSERT_TRUE(journal->Record({{Entry(3), State(3)}}).ok());
  journal = nullptr;
  fs::rename(named, Spare());
  Tear(Spare());
  journal = Open();
  EXPECT_EQ((*journal->found())->state, State(2));
  EXPECT_EQ(journal->VersionsUsed(), 3u);
  EXPECT_EQ(journal->warnings().size(), 3u);
}

// It was refused, and nothing can be told from it: another one has its version.
TEST_F(FileJournalTest, AChangeInTheSpareThatFailedIsForgotten) {
  auto journal = Open();
  ASSERT_TRUE(journal->Record({{Entry(1), State(1)}}).ok());
  journal = nullptr;
  std::ofstream(Spare()) << Encode(Entry(1), State(7));
  journal = Open();
  EXPECT_TRUE(journal->warnings().empty());
  EXPECT_EQ((*journal->found())->state, State(1));
  EXPECT_EQ(journal->Entries().size(), 1u);
  // And a first change that was cut was never answered, but may have been seen.
  journal = nullptr;
  std::ofstream(Spare()) << Encode(Entry(2), State(7)).substr(0, 100);
  journal = Open();
  EXPECT_EQ((*journal->found())->state, State(1));
  EXPECT_EQ(journal->VersionsUsed(), 2u);
}

TEST_F(FileJournalTest, OldChangesGo) {
  auto journal = Open();
  uint64_t version = 0;
  const auto record = [&](size_t count) {
    std::vector<model::RecordedChange> changes;
    for (size_t i = 0; i < count; ++i) changes.push_back({Entry(++version), State()});
    ASSERT_TRUE(journal->Record(changes).ok());
  };
  record(1);
  record(54);
  EXPECT_EQ(journal->Entries().size(), 50u);
  EXPECT_EQ(journal->Entries().back().version, 6u);
  journal = nullptr;
  journal = Open();
  EXPECT_EQ(journal->Entries().size(), 50u);
  EXPECT_EQ(Segments().size(), 1u);
  const fs::path first = Newest();
  while (Newest() == first && version < 10'000) record(200);
  EXPECT_TRUE(WaitUntil([&] { return !fs::exists(first); })) << "it is full, and has nothing that is kept";
  EXPECT_EQ(journal->Entries().front().version, version);
}

TEST(MemoryJournalTest, KeepsTheNewest) {
  MemoryJournal journal(2);
  for (uint64_t version = 1; version <= 3; ++version) {
    ASSERT_TRUE(journal.Record({{Entry(version), State(static_cast<uint32_t>(version))}}).ok());
  }
  EXPECT_EQ(*journal.StateAt(3), State(3));
  EXPECT_EQ(journal.StateAt(1).status().code(), absl::StatusCode::kNotFound);
  journal.Revoke(3);
  EXPECT_EQ(journal.Entries().size(), 1u);
}

}  // namespace
}  // namespace sluice::store
