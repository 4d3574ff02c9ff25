#include "dataplane/base/periodic_thread.h"

#include <pthread.h>

#include <utility>

namespace sluice {

PeriodicThread::PeriodicThread(const char* name, std::chrono::microseconds interval, std::function<void()> work)
    : interval_(interval), work_(std::move(work)), thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), name);
}

PeriodicThread::~PeriodicThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopping_changed_.notify_all();
  thread_.join();
}

void PeriodicThread::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_changed_.wait_for(lock, interval_, [this] { return stopping_; })) {
    lock.unlock();
    work_();
    lock.lock();
  }
}

}  // namespace sluice
