#ifndef SLUICE_TOOLS_SIM_TIMELINE_H_
#define SLUICE_TOOLS_SIM_TIMELINE_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "tools/sim/workload.h"

namespace sluice::sim {

// When connections end. Each duration of the workload has a queue of its own, in which the first to begin is the first
// to end; so a million events a second need no heap.
class Endings {
 public:
  struct End {
    double at;
    uint32_t slot;
  };
  // `row`: of kDurations.
  void Add(size_t row, double now, uint32_t slot) { queues_[row].push_back({now + kDurations[row].seconds, slot}); }
  // For those that are there at the start; in the order of their ends.
  void AddFirst(End end) { queues_.back().push_back(end); }

  // The next one; at infinity when there is none.
  double next() const {
    const std::deque<End>* queue = Earliest();
    return queue != nullptr ? queue->front().at : kNever;
  }
  uint32_t Take() {
    auto* queue = const_cast<std::deque<End>*>(Earliest());
    const uint32_t slot = queue->front().slot;
    queue->pop_front();
    return slot;
  }
  static constexpr double kNever = 1e300;

 private:
  const std::deque<End>* Earliest() const {
    const std::deque<End>* earliest = nullptr;
    for (const std::deque<End>& queue : queues_) {
      if (queue.empty() || (earliest != nullptr && earliest->front().at <= queue.front().at)) continue;
      earliest = &queue;
    }
    return earliest;
  }

  std::array<std::deque<End>, kDurations.size() + 1> queues_;
};

// Machines that go and come back: servers or directors.
class Machines {
 public:
  Machines(uint32_t count, double updates_per_min, Random random)
      : up_(count, true), left_(count), rate_(updates_per_min / 60), random_(random) {
    next_down_ = rate_ > 0 ? random_.Wait(rate_) : Endings::kNever;
  }

  const std::vector<bool>& up() const { return up_; }
  uint32_t left() const { return left_; }
  double next() const { return returns_.empty() ? next_down_ : std::min(next_down_, returns_.top().first); }

  // False: it is as wanted already, or the last one.
  bool Set(uint32_t machine, bool up) {
    if (up_[machine] == up || (!up && left_ == 1)) return false;
    up_[machine] = up;
    left_ += up ? 1 : UINT32_MAX;
    return true;
  }

  // Lets happen what is next. `down_time(random)` says for how long what goes down stays there. False when nothing
  // changed: the machine was down already, or is the last one.
  template <typename DownTime>
  bool Change(DownTime&& down_time) {
    if (!returns_.empty() && returns_.top().first <= next_down_) {
      up_[returns_.top().second] = true;
      returns_.pop();
      ++left_;
      return true;
    }
    const double now = next_down_;
    next_down_ += random_.Wait(rate_);
    const uint32_t machine = random_.Below(static_cast<uint32_t>(up_.size()));
    const double back = now + down_time(random_);
    if (!up_[machine] || left_ == 1) return false;
    up_[machine] = false;
    --left_;
    returns_.emplace(back, machine);
    return true;
  }

 private:
  using Return = std::pair<double, uint32_t>;
  std::vector<bool> up_;
  uint32_t left_;
  double rate_;
  Random random_;
  double next_down_;
  std::priority_queue<Return, std::vector<Return>, std::greater<>> returns_;
};

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_TIMELINE_H_
