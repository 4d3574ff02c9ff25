#include "controlplane/app/watchdog.h"

#include <chrono>
#include <utility>

#include "dataplane/base/log.h"

namespace sluice::app {

std::vector<std::string> ProgressCheck::Stuck(const std::vector<runtime::ThreadProgress>& now) {
  std::vector<std::string> stuck;
  for (const runtime::ThreadProgress& thread : now) {
    const auto [before, is_new] = before_.emplace(thread.thread, thread.turns);
    if (is_new) continue;
    if (before->second == thread.turns) stuck.push_back(thread.thread);
    before->second = thread.turns;
  }
  return stuck;
}

Watchdog::Watchdog(const ServiceManager& manager, Source progress) : manager_(manager), progress_(std::move(progress)) {
  if (!manager.watchdog()) return;
  const std::chrono::microseconds interval = *manager.watchdog() / 4;
  check_.Stuck(progress_());
  thread_.emplace("sluice-watchdog", interval, [this, interval] { Look(interval); });
}

void Watchdog::Look(std::chrono::microseconds interval) {
  const std::vector<std::string> stuck = check_.Stuck(progress_());
  if (stuck.empty()) {
    manager_.FeedWatchdog();
    return;
  }
  for (const std::string& thread : stuck) {
    SLUICE_LOG(kError) << "watchdog: " << thread << " has made no progress for " << interval.count() / 1000
                       << " ms; the service manager is not told that all is well";
  }
}

}  // namespace sluice::app
