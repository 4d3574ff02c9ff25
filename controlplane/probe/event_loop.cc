#include "controlplane/probe/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "controlplane/model/text.h"

namespace sluice::probe {
namespace {

constexpr size_t kEventsAtOnce = 256;

uint64_t KeyOf(int fd, uint32_t use) { return uint64_t{use} << 32 | static_cast<uint32_t>(fd); }

}  // namespace

EventLoop::~EventLoop() {
  if (epoll_fd_ >= 0) close(epoll_fd_);
  if (wake_fd_ >= 0) close(wake_fd_);
}

absl::Status EventLoop::Open() {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_fd_ < 0 || wake_fd_ < 0) {
    return absl::InternalError(model::Cat("health checks cannot wait for sockets: ", std::strerror(errno)));
  }
  Watch(wake_fd_, EPOLLIN, [this](uint32_t) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t bytes = read(wake_fd_, &count, sizeof(count));
  });
  return absl::OkStatus();
}

void EventLoop::Watch(int fd, uint32_t events, Callback callback) {
  auto& slot = watched_[fd];
  const bool is_new = slot == nullptr;
  if (is_new) {
    slot = std::make_shared<Watched>();
    slot->use = next_use_++;
  }
  slot->callback = std::move(callback);
  epoll_event event{};
  event.events = events;
  event.data.u64 = KeyOf(fd, slot->use);
  epoll_ctl(epoll_fd_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::Forget(int fd) {
  if (watched_.erase(fd) != 0) epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::Turn(std::optional<health::Time> until) {
  int timeout_ms = -1;
  if (until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - std::chrono::steady_clock::now()).count();
    timeout_ms = static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
  }
  std::array<epoll_event, kEventsAtOnce> events;
  // As many rounds as there are descriptors, at most: those that are ready again have their turn later.
  for (size_t left = watched_.size() / kEventsAtOnce + 1; left > 0; --left) {
    const int count = epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), timeout_ms);
    for (int i = 0; i < count; ++i) CallBack(events[static_cast<size_t>(i)]);
    if (count < static_cast<int>(events.size())) return;
    timeout_ms = 0;
  }
}

void EventLoop::CallBack(const epoll_event& event) {
  const auto found = watched_.find(static_cast<int>(event.data.u64 & 0xffff'ffff));
  if (found == watched_.end() || found->second->use != static_cast<uint32_t>(event.data.u64 >> 32)) return;
  // The callback may forget itself, or be replaced.
  const std::shared_ptr<Watched> watched = found->second;
  const Callback callback = watched->callback;
  callback(event.events);
}

void EventLoop::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t bytes = write(wake_fd_, &one, sizeof(one));
}

}  // namespace sluice::probe
