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

// Notices workers that make no progress. Check: one control thread. Stalled: any thread.
class StallMonitor {
 public:
  // A worker that sleeps still wakes many times a second, so this long means that something holds its core.
  static constexpr uint64_t kAlarmMs = 1000;

  explicit StallMonitor(size_t workers) : seen_(workers), stalled_(std::make_unique<std::atomic<bool>[]>(workers)) {}

  // `polls`: the worker's count of rounds. True when the worker has just been found stalled.
  bool Check(size_t worker, uint64_t polls, uint64_t now_ms);
  bool Stalled(size_t worker) const { return stalled_[worker].load(std::memory_order_relaxed); }

 private:
  struct Seen {
    uint64_t polls = 0;
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
  const StallMonitor& stalls_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_VIEW_H_
