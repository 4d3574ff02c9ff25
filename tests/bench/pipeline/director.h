#ifndef SLUICE_TESTS_BENCH_PIPELINE_DIRECTOR_H_
#define SLUICE_TESTS_BENCH_PIPELINE_DIRECTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "controlplane/reconcile/reconciler.h"
#include "dataplane/fwd/flow_tables.h"
#include "dataplane/lb/fragment_table.h"
#include "dataplane/runtime/state_publisher.h"
#include "dataplane/runtime/table_memory.h"
#include "dataplane/stage/stage_env.h"
#include "tests/bench/no_traffic.h"
#include "tests/bench/pipeline/scenario.h"

namespace sluice::bench {

// A director for one scenario: desired state, reconciler, publisher and tables as sluiced has them, one worker, no
// devices. All but the changes happens on the caller's thread, which is the worker.
class Director {
 public:
  // `hugepages`: tables come from EAL's.
  static absl::StatusOr<std::unique_ptr<Director>> Create(const Scenario& scenario, bool hugepages);
  ~Director();

  stage::StageEnv& env() { return env_; }
  fwd::WorkerCounters& counters() { return counters_; }
  const fwd::WorkerCounters& counters() const { return counters_; }
  static PortId port() { return PortId(0); }

  // Between bursts, as a worker does: takes up the newest state. Whether it is another than before.
  bool TakeUpState();
  // Lets `seconds` pass, after which the entries whose time is over are gone.
  void Advance(uint32_t seconds);
  // From now on, until the end, a thread of its own changes a backend's weight so many times a second.
  void StartChanges(uint32_t per_s);
  uint64_t changes() const { return changes_.load(std::memory_order_relaxed); }

 private:
  class NextHops;
  Director(const Scenario& scenario, bool hugepages);
  void Change(uint32_t per_s);

  const std::unique_ptr<NextHops> next_hops_;
  const NoTraffic view_;
  runtime::StatePublisher publisher_;
  reconcile::Reconciler reconciler_;
  model::DesiredState services_;
  fwd::WorkerCounters counters_;
  runtime::TableMemory memory_;
  stage::NodeTraits node_;
  fwd::FlowTables tables_;
  lb::FragmentTable fragments_ = lb::FragmentTable(64, 16, 2);
  stage::StageEnv env_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> changes_ = 0;
  std::thread changer_;
};

}  // namespace sluice::bench

#endif  // SLUICE_TESTS_BENCH_PIPELINE_DIRECTOR_H_
