#include "controlplane/app/watchdog.h"

#include <pthread.h>

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
  thread_ = std::thread([this, interval] { Run(interval); });
  pthread_setname_np(thread_.native_handle(), "sluice-watchdog");
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::Run(std::chrono::microseconds interval) {
  ProgressCheck check;
  check.Stuck(progress_());
  std::unique_lock lock(mutex_);
  while (!stop_changed_.wait_for(lock, interval, [this] { return stop_; })) {
    const std::vector<std::string> stuck = check.Stuck(progress_());
    if (stuck.empty()) {
      manager_.FeedWatchdog();
      continue;
    }
    for (const std::string& thread : stuck) {
      SLUICE_LOG(kError) << "watchdog: " << thread << " has made no progress for " << interval.count() / 1000
                         << " ms; the service manager is not told that all is well";
    }
  }
}

}  // namespace sluice::app
