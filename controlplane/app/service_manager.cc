#include "controlplane/app/service_manager.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "controlplane/model/text.h"
#include "dataplane/base/log.h"

namespace sluice::app {
namespace {

using model::Cat;

constexpr time_t kPatienceS = 1;

std::string_view Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  std::optional<std::chrono::microseconds> watchdog;
  const std::string_view pid = Environment("WATCHDOG_PID");
  // Set for another process of the service: not ours to answer.
  const bool ours = pid.empty() || Number(pid) == static_cast<uint64_t>(getpid());
  if (const auto usec = Number(Environment("WATCHDOG_USEC")); ours && usec.value_or(0) != 0) {
    watchdog = std::chrono::microseconds(static_cast<int64_t>(*usec));
  }
  return {std::string(Environment("NOTIFY_SOCKET")), watchdog};
}

void ServiceManager::Ready(std::string_view status) const { Notify(Cat("READY=1\nSTATUS=", status)); }

void ServiceManager::Reloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t usec = int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  Notify(Cat("RELOADING=1\nMONOTONIC_USEC=", usec, "\nSTATUS=reading the configuration again"));
}

void ServiceManager::Stopping() const { Notify("STOPPING=1\nSTATUS=stopping"); }

void ServiceManager::Status(std::string_view status) const { Notify(Cat("STATUS=", status)); }

void ServiceManager::FeedWatchdog() const { Notify("WATCHDOG=1"); }

void ServiceManager::Notify(const std::string& state) const {
  if (socket_.empty()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_.front() == '@') address.sun_path[0] = '\0';  // Linux's abstract names
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  // It waits for a manager whose queue is full, but not for one that has stopped reading: sluiced must be able to stop.
  const timeval patience{.tv_sec = kPatienceS, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    static LogRateLimit log(60'000);
    uint64_t suppressed = 0;
    if (log.Allow(&suppressed)) {
      SLUICE_LOG(kWarning) << "the service manager cannot be told at " << socket_ << ": " << std::strerror(errno);
    }
  }
  close(fd);
}

}  // namespace sluice::app
