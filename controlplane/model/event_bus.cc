#include "controlplane/model/event_bus.h"

#include <algorithm>
#include <utility>

namespace sluice::model {

void EventBus::Publish(Event event) {
  const std::lock_guard lock(mutex_);
  event.sequence = next_++;
  event.at = std::chrono::system_clock::now();
  events_.push_back(std::move(event));
  if (events_.size() > capacity_) events_.pop_front();
  changed_.notify_all();
}

EventBus::Batch EventBus::ReadAfter(uint64_t after, size_t limit, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return closed_ || NewestLocked() > after; });
  Batch batch;
  batch.closed = closed_;
  if (NewestLocked() <= after) return batch;
  const uint64_t oldest = events_.front().sequence;
  const uint64_t first = std::max(after + 1, oldest);
  batch.missed = first - (after + 1);
  const size_t count = std::min(limit, static_cast<size_t>(next_ - first));
  const auto begin = events_.begin() + static_cast<std::ptrdiff_t>(first - oldest);
  batch.events.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  return batch;
}

uint64_t EventBus::newest() const {
  const std::lock_guard lock(mutex_);
  return NewestLocked();
}

uint64_t EventBus::before_oldest() const {
  const std::lock_guard lock(mutex_);
  return next_ - 1 - events_.size();
}

void EventBus::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace sluice::model
