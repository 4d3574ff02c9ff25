#ifndef SLUICE_CONTROLPLANE_MODEL_EVENT_BUS_H_
#define SLUICE_CONTROLPLANE_MODEL_EVENT_BUS_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

// What happens, for those who want to know at once: the API's Watch. Health, drains and changes publish into it.
namespace sluice::model {

enum class EventKind : uint8_t {
  kChange,  // the desired state changed
  kHealth,  // a backend's health changed
  kDrain,   // a drain began, ended or was cancelled
  kAlarm,   // something that wants a person, or the end of it
};

struct Event {
  EventKind kind = EventKind::kChange;
  // "backend web/web-1", "pool web", "vip www", "node"; empty: the state as a whole.
  std::string object;
  std::string message;   // a sentence for a person
  std::string user;      // who did it; changes only
  uint64_t version = 0;  // of the desired state; changes only
  // The bus sets these.
  uint64_t sequence = 0;  // from 1, without gaps
  std::chrono::system_clock::time_point at;
};

// Where events go. Any thread; never blocks for long, never fails.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void Publish(Event event) = 0;
};

// Keeps the newest events and wakes who waits for them. Slow readers hold nobody up: they miss events, and are told how
// many. Any thread.
class EventBus : public EventSink {
 public:
  explicit EventBus(size_t capacity = 4096) : capacity_(capacity) {}

  void Publish(Event event) override;

  struct Batch {
    std::vector<Event> events;
    uint64_t missed = 0;  // that the reader asked for and that are not kept any more
    bool closed = false;  // no more will come
  };
  // The events after number `after`, at most `limit`; waits up to `timeout` for the first of them.
  Batch ReadAfter(uint64_t after, size_t limit, std::chrono::milliseconds timeout) const;

  // Number of the newest event; 0 before the first.
  uint64_t newest() const;
  // Number of the event before the oldest one that is kept.
  uint64_t before_oldest() const;
  // Wakes all readers for good.
  void Close();

 private:
  uint64_t NewestLocked() const { return next_ - 1; }

  const size_t capacity_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<Event> events_;  // oldest first, of consecutive numbers
  uint64_t next_ = 1;
  bool closed_ = false;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_EVENT_BUS_H_
