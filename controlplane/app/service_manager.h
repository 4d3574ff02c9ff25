#ifndef SLUICE_CONTROLPLANE_APP_SERVICE_MANAGER_H_
#define SLUICE_CONTROLPLANE_APP_SERVICE_MANAGER_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::app {

// Tells the service manager how sluiced is doing: sd_notify(3)'s protocol, datagrams to a Unix socket. Without one
// (on a command line) nothing happens. Any thread.
class ServiceManager {
 public:
  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as systemd sets them.
  static ServiceManager FromEnvironment();
  ServiceManager(std::string socket, std::optional<std::chrono::microseconds> watchdog)
      : socket_(std::move(socket)), watchdog_(watchdog) {}

  void Ready(std::string_view status) const;
  void Reloading() const;
  void Stopping() const;
  // What `systemctl status` shows.
  void Status(std::string_view status) const;
  void FeedWatchdog() const;

  // Within this time it wants to be fed; none: it does not watch.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

 private:
  void Notify(const std::string& state) const;

  std::string socket_;  // empty: nobody listens
  std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_SERVICE_MANAGER_H_
