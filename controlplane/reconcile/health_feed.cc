#include "controlplane/reconcile/health_feed.h"

#include <utility>

#include "dataplane/base/log.h"

namespace sluice::reconcile {

HealthFeed::HealthFeed(Reconciler& reconciler, std::chrono::milliseconds gap)
    : reconciler_(reconciler), gap_(gap), thread_([this] { Run(); }) {}

HealthFeed::~HealthFeed() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void HealthFeed::Report(model::HealthUpdate update) {
  {
    const std::lock_guard lock(mutex_);
    const Key key{update.backend.value(), update.generation, update.source};
    pending_.insert_or_assign(key, std::move(update));
  }
  changed_.notify_all();
}

void HealthFeed::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !pending_.empty(); });
    if (stopping_) return;
    Pending batch = std::exchange(pending_, {});
    lock.unlock();
    Pending again = Deliver(std::move(batch));
    lock.lock();
    // What was said meanwhile is newer, and stays.
    pending_.merge(again);
    changed_.wait_for(lock, gap_, [this] { return stopping_; });
  }
}

HealthFeed::Pending HealthFeed::Deliver(Pending batch) {
  std::vector<model::HealthUpdate> updates;
  updates.reserve(batch.size());
  for (const auto& [key, update] : batch) updates.push_back(update);
  const auto outcome = reconciler_.SetHealth(updates);
  if (!outcome.ok()) {
    // It is tried again and again: one line for all.
    if (!std::exchange(failing_, true)) {
      SLUICE_LOG(kError) << "health: what is known of " << batch.size()
                         << " backends is not in force yet: " << outcome.status().message();
    }
    return batch;
  }
  if (std::exchange(failing_, false)) {
    SLUICE_LOG(kInfo) << "health: what is known of backends is in force again";
  }
  if (!outcome->changes.empty()) LogOutcome("health", *outcome);
  return {};
}

}  // namespace sluice::reconcile
