#ifndef SLUICE_DATAPLANE_RUNTIME_EVENT_H_
#define SLUICE_DATAPLANE_RUNTIME_EVENT_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "dataplane/base/check.h"

namespace sluice::runtime {

// Wakes a thread that waits on a file descriptor.
class Event {
 public:
  Event() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { SLUICE_CHECK(fd_ >= 0); }
  ~Event() { close(fd_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Readable from Signal until Clear.
  int fd() const { return fd_; }
  // Any thread; a system call.
  void Signal() {
    const uint64_t one = 1;
    // Fails only when it was signalled 2^64 - 2 times, which is signalled enough.
    [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof(one));
  }
  // The waiting thread.
  void Clear() {
    uint64_t count = 0;
    // Fails when there was no signal, which is as good.
    [[maybe_unused]] const ssize_t got = read(fd_, &count, sizeof(count));
  }

 private:
  const int fd_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_EVENT_H_
