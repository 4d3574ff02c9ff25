#ifndef SLUICE_DATAPLANE_RUNTIME_EXCEPTION_THREAD_H_
#define SLUICE_DATAPLANE_RUNTIME_EXCEPTION_THREAD_H_

#include <rte_mempool.h>
#include <rte_ring.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "dataplane/base/log.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/runtime/event.h"
#include "dataplane/runtime/punt_queue.h"
#include "dataplane/runtime/tap.h"
#include "dataplane/runtime/token_bucket.h"

namespace sluice::runtime {

// One port's ends of the exception path.
struct ExceptionPort {
  PortId id;
  Tap* tap = nullptr;
  PuntQueue* punt = nullptr;      // from the workers
  rte_ring* from_host = nullptr;  // to the worker that sends for this port
  std::function<void()> wake;     // tells that worker
};

// Carries packets between the workers' rings and the TAP interfaces of all ports, so that no worker makes a system call
// for the host's sake. Start, Stop: main thread.
class ExceptionThread {
 public:
  // `pool`: for packets from the kernel. `rate_limit_pps`: of the lowest class, over all ports. `punted`: signalled by
  // workers that punted and then went to sleep. `received`: how many packets all workers have received; while that
  // grows, workers may punt without a signal.
  ExceptionThread(std::vector<ExceptionPort> ports, rte_mempool* pool, uint32_t rate_limit_pps, Event* punted,
                  std::function<uint64_t()> received);
  ~ExceptionThread();
  ExceptionThread(const ExceptionThread&) = delete;
  ExceptionThread& operator=(const ExceptionThread&) = delete;

  absl::Status Start();
  // After the workers have stopped: delivers what they left for the kernel, and drops and counts what the kernel left
  // for them, so that no packet is in a ring afterwards. Idempotent.
  void Stop();

  // Packets in its rings. Any thread.
  uint64_t held() const;
  // `polls` counts its turns: it grows many times a second while the thread is well.
  const fwd::WorkerCounters& counters() const { return counters_; }

 private:
  void Run();
  enum class Turn : uint8_t {
    kIdle,     // there was nothing
    kLimited,  // all there was went beyond the rate limit
    kWorked,
  };
  // Delivers one turn's packets to the kernel.
  Turn ServePunts();
  // Packets wait that no rate limit holds back.
  bool UrgentWait() const;
  size_t ServeClass(const ExceptionPort& port, stage::PuntClass punt_class, size_t count);
  // Reads what the kernel sends by one port; true if there was anything.
  bool ReadTap(const ExceptionPort& port);
  // Until the kernel sends, a worker signals, or the time is over that the workers' activity allows.
  void Sleep();
  void DropAll(rte_mbuf** mbufs, size_t count, DropReason reason);

  const std::vector<ExceptionPort> ports_;
  rte_mempool* const pool_;
  Event* const punted_;
  const std::function<uint64_t()> received_;
  fwd::WorkerCounters counters_;
  TokenBucket bucket_;
  bool delivered_ = false;  // in this turn
  uint64_t nap_ns_ = 0;
  uint64_t last_received_ = 0;
  LogRateLimit lost_log_{10'000};
  int epoll_fd_ = -1;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_EXCEPTION_THREAD_H_
