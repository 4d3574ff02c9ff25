#ifndef SLUICE_CONTROLPLANE_PROBE_EVENT_LOOP_H_
#define SLUICE_CONTROLPLANE_PROBE_EVENT_LOOP_H_

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "absl/status/status.h"
#include "controlplane/health/prober.h"

namespace sluice::probe {

// Waits for sockets. All but Wake: the probing thread.
class EventLoop {
 public:
  // `events`: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP.
  using Callback = std::function<void(uint32_t events)>;

  EventLoop() = default;
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  absl::Status Open();
  // Calls `callback` whenever the descriptor is ready for `events`; replaces what was said of it before.
  void Watch(int fd, uint32_t events, Callback callback);
  // Before the descriptor is closed. May be called from any callback, its own included.
  void Forget(int fd);
  // One turn: waits until something is ready, Wake is called, or `until` is reached, and calls back for all that is
  // ready, so that what came in time is seen before somebody finds that the time is over.
  void Turn(std::optional<health::Time> until);
  // Any thread.
  void Wake();

 private:
  struct Watched {
    uint32_t use = 0;  // tells the descriptor from an earlier one of the same number
    Callback callback;
  };

  void CallBack(const epoll_event& event);

  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  uint32_t next_use_ = 1;
  std::unordered_map<int, std::shared_ptr<Watched>> watched_;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_EVENT_LOOP_H_
