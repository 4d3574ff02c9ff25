#ifndef SLUICE_CONTROLPLANE_APP_FILE_WATCH_H_
#define SLUICE_CONTROLPLANE_APP_FILE_WATCH_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace sluice::app {

// Calls a function, on a thread of its own, when a file has changed: written and closed, or replaced by another one, as
// editors and configuration management do. Its directory is watched, since a replaced file is another file; a name that
// is a symbolic link is followed by content only, so changes of what it points to in another directory need SIGHUP.
class FileWatch {
 public:
  static absl::StatusOr<std::unique_ptr<FileWatch>> Start(const std::string& path, std::function<void()> changed);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  FileWatch(int inotify_fd, int stop_fd, std::string name, std::function<void()> changed);
  void Run();

  const int inotify_fd_;
  const int stop_fd_;
  const std::string name_;
  const std::function<void()> changed_;
  std::thread thread_;
};

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_FILE_WATCH_H_
