#ifndef SLUICE_DATAPLANE_RUNTIME_VIEW_H_
#define SLUICE_DATAPLANE_RUNTIME_VIEW_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/fwd/interfaces.h"
#include "dataplane/runtime/exception_thread.h"
#include "dataplane/runtime/port.h"
#include "dataplane/runtime/state_publisher.h"
#include "dataplane/runtime/worker.h"

namespace sluice::runtime {

// Notices threads of the data plane that make no progress. Check: one control thread. Stalled: any thread.
class StallMonitor {
 public:
  // A thread that sleeps still wakes many times a second, so this long means that something holds its core.
  static constexpr uint64_t kAlarmMs = 1000;

  enum class Change : uint8_t { kNone, kStalled, kRecovered };

  explicit StallMonitor(size_t threads) : seen_(threads), stalled_(std::make_unique<std::atomic<bool>[]>(threads)) {}

  // `beats`: the thread's count of rounds. Says what has just changed: each stall is told once, and its end once.
  Change Check(size_t thread, uint64_t beats, uint64_t now_ms);
  bool Stalled(size_t thread) const { return stalled_[thread].load(std::memory_order_relaxed); }

 private:
  struct Seen {
    uint64_t beats = 0;
    uint64_t since_ms = 0;
    bool valid = false;
  };
  std::vector<Seen> seen_;
  std::unique_ptr<std::atomic<bool>[]> stalled_;
};

// Sums what the threads of the data plane count. All that it refers to outlives it.
class View : public fwd::DataplaneView {
 public:
  View(const std::vector<std::unique_ptr<Worker>>& workers, const std::vector<std::unique_ptr<Port>>& ports,
       const ExceptionThread* exception, const StatePublisher& publisher, const StallMonitor& stalls)
      : workers_(workers), ports_(ports), exception_(exception), publisher_(publisher), stalls_(stalls) {}

  fwd::PacketTotals Totals() const override;
  std::vector<fwd::WorkerStats> Workers() const override;
  bool ExceptionThreadStalled() const override;
  std::vector<fwd::PortStats> Ports() const override;
  fwd::VipStats Vip(VipId id) const override;
  fwd::BackendStats Backend(BackendId id) const override;
  fwd::NextHop NextHopOf(BackendId id) const override;
  uint64_t GenerationInUse() const override;
  bool SweptSince(uint64_t generation) const override;

 private:
  const std::vector<std::unique_ptr<Worker>>& workers_;
  const std::vector<std::unique_ptr<Port>>& ports_;
  const ExceptionThread* const exception_;  // null: no exception ports
  const StatePublisher& publisher_;
  const StallMonitor& stalls_;  // of the workers by id, then the exception thread
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_VIEW_H_
