#ifndef SLUICE_CONTROLPLANE_APP_WATCHDOG_H_
#define SLUICE_CONTROLPLANE_APP_WATCHDOG_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/app/service_manager.h"
#include "dataplane/base/periodic_thread.h"
#include "dataplane/runtime/dataplane.h"

namespace sluice::app {

// Which threads stand still between two looks. One thread.
class ProgressCheck {
 public:
  // Those of `now` that have not come further since the previous call. The first call only remembers.
  std::vector<std::string> Stuck(const std::vector<runtime::ThreadProgress>& now);

 private:
  std::map<std::string, uint64_t> before_;
};

// Feeds the service manager's watchdog while every thread that packets depend on makes progress, and not otherwise: a
// process that is half dead is ended and started again rather than left to lose a part of the traffic. Looks four times
// in the watchdog's time, so that a single thread held up for a moment costs nothing.
class Watchdog {
 public:
  using Source = std::function<std::vector<runtime::ThreadProgress>()>;
  // `manager` outlives it. Does nothing if that does not watch.
  Watchdog(const ServiceManager& manager, Source progress);
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void Look(std::chrono::microseconds interval);

  const ServiceManager& manager_;
  const Source progress_;
  ProgressCheck check_;
  std::optional<PeriodicThread> thread_;
};

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_WATCHDOG_H_
