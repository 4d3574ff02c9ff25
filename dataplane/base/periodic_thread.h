#ifndef SLUICE_DATAPLANE_BASE_PERIODIC_THREAD_H_
#define SLUICE_DATAPLANE_BASE_PERIODIC_THREAD_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace sluice {

// A thread that calls `work` again and again, each time `interval` after the last call returned, until the object is
// destroyed, which waits for a call that is under way.
class PeriodicThread {
 public:
  // `name`: what `ps -T` shows, at most 15 characters.
  PeriodicThread(const char* name, std::chrono::microseconds interval, std::function<void()> work);
  ~PeriodicThread();
  PeriodicThread(const PeriodicThread&) = delete;
  PeriodicThread& operator=(const PeriodicThread&) = delete;

 private:
  void Run();

  const std::chrono::microseconds interval_;
  const std::function<void()> work_;
  std::mutex mutex_;
  std::condition_variable stopping_changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_PERIODIC_THREAD_H_
