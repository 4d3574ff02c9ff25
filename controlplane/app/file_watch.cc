#include "controlplane/app/file_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "controlplane/model/text.h"

namespace sluice::app {
namespace {

// Several writes in a row are one change: it is told once the file has been quiet for so long.
constexpr int kQuietMs = 200;

}  // namespace

absl::StatusOr<std::unique_ptr<FileWatch>> FileWatch::Start(const std::string& path, std::function<void()> changed) {
  const std::filesystem::path whole = std::filesystem::absolute(path);
  const std::string directory = whole.parent_path().string();
  const int inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (inotify_fd < 0) return absl::ErrnoToStatus(errno, "cannot watch files");
  if (inotify_add_watch(inotify_fd, directory.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
    const int error = errno;
    close(inotify_fd);
    return absl::ErrnoToStatus(error, model::Cat("cannot watch ", directory));
  }
  const int stop_fd = eventfd(0, EFD_CLOEXEC);
  if (stop_fd < 0) {
    const int error = errno;
    close(inotify_fd);
    return absl::ErrnoToStatus(error, "cannot watch files");
  }
  return std::unique_ptr<FileWatch>(new FileWatch(inotify_fd, stop_fd, whole.filename().string(), std::move(changed)));
}

FileWatch::FileWatch(int inotify_fd, int stop_fd, std::string name, std::function<void()> changed)
    : inotify_fd_(inotify_fd), stop_fd_(stop_fd), name_(std::move(name)), changed_(std::move(changed)) {
  thread_ = std::thread([this] { Run(); });
}

FileWatch::~FileWatch() {
  const uint64_t one = 1;
  // A counter that is at zero takes it.
  [[maybe_unused]] const ssize_t n = write(stop_fd_, &one, sizeof(one));
  thread_.join();
  close(stop_fd_);
  close(inotify_fd_);
}

void FileWatch::Run() {
  bool pending = false;
  for (;;) {
    std::array<pollfd, 2> waits = {pollfd{inotify_fd_, POLLIN, 0}, pollfd{stop_fd_, POLLIN, 0}};
    const int ready = poll(waits.data(), waits.size(), pending ? kQuietMs : -1);
    if (waits[1].revents != 0) return;
    if (ready == 0 && std::exchange(pending, false)) changed_();
    if (ready <= 0) continue;
    alignas(inotify_event) std::array<char, 4096> buffer;
    ssize_t n = 0;
    while ((n = read(inotify_fd_, buffer.data(), buffer.size())) > 0) {
      for (const char* at = buffer.data(); at < buffer.data() + n;) {
        inotify_event event;
        std::memcpy(&event, at, sizeof(event));
        const char* name = at + sizeof(event);
        // After an overflow anything may have happened.
        pending = pending || (event.mask & IN_Q_OVERFLOW) != 0 || (event.len > 0 && name_ == name);
        at += sizeof(event) + event.len;
      }
    }
  }
}

}  // namespace sluice::app
