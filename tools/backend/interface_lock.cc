#include "tools/backend/interface_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "config/problem.h"
#include "config/text.h"

namespace sluice::backend {
namespace {

using config::Cat;
using config::Quote;

constexpr const char* kFolder = "/run/sluice-backend";

// Who holds it, as its file says; 0 when the file does not say.
long HolderOf(int file) {
  char text[32] = {};
  long pid = 0;
  if (pread(file, text, sizeof(text) - 1, 0) > 0) std::sscanf(text, "%ld", &pid);
  return pid;
}

// Whether the path still names this file: its last holder may have removed it between our open and our lock.
bool StillThere(int file, const std::string& path) {
  struct stat mine {};
  struct stat named {};
  return fstat(file, &mine) == 0 && stat(path.c_str(), &named) == 0 && mine.st_ino == named.st_ino;
}

}  // namespace

absl::StatusOr<InterfaceLock> InterfaceLock::Take(const Interface& interface) {
  if (mkdir(kFolder, 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, Cat("cannot create ", kFolder, "; run it as root"));
  }
  struct stat network {};
  if (stat("/proc/self/ns/net", &network) != 0) return absl::ErrnoToStatus(errno, "cannot look at /proc/self/ns/net");
  const std::string path = Cat(kFolder, "/", network.st_ino, "-", interface.index);
  while (true) {
    FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return absl::ErrnoToStatus(errno, Cat("cannot create ", path, "; run it as root"));
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      const long pid = HolderOf(file.get());
      return absl::AlreadyExistsError(Cat("interface ", Quote(interface.name), ": another sluice-backend (pid ", pid,
                                          ") has it; stop that one first, or let it read its file again by SIGHUP"));
    }
    if (!StillThere(file.get(), path)) continue;
    const std::string pid = Cat(getpid(), "\n");
    if (ftruncate(file.get(), 0) != 0 || write(file.get(), pid.data(), pid.size()) < 0) {
      return absl::ErrnoToStatus(errno, Cat("cannot write ", path));
    }
    return InterfaceLock(std::move(file), path);
  }
}

InterfaceLock::~InterfaceLock() {
  if (file_) unlink(path_.c_str());
}

}  // namespace sluice::backend
