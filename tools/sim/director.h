#ifndef SLUICE_TOOLS_SIM_DIRECTOR_H_
#define SLUICE_TOOLS_SIM_DIRECTOR_H_

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/state_builder.h"
#include "dataplane/fwd/worker_counters.h"

namespace sluice::sim {

// One client's connection as a director sees it.
struct SimFlow {
  uint32_t client = 0;
  uint16_t port = 0;
  bool timestamps = false;
  std::optional<uint32_t> echo = {};  // the server's timestamp that the client sends back
};

// The VIP of all flows, over TCP.
fwd::VipSpec MakeVip(VipId id, PoolId pool);

// For cookies and hashes.
struct SimTuple {
  explicit SimTuple(const SimFlow& flow);
  uint32_t client;
  lb::FlowTuple tuple;
  SimTuple(const SimTuple&) = delete;
  SimTuple& operator=(const SimTuple&) = delete;
};

// The ladder's function: another one is given to see whether the checkers catch a ladder that is damaged.
using SelectFunction = decltype(&fwd::SelectBackend);

// A director: workers with tables of their own, over one forwarding state. A flow always meets the same worker, as RSS
// sees to it.
class Director {
 public:
  static constexpr size_t kMaxBackends = 4096;

  Director(size_t workers, size_t connections_per_worker, SelectFunction select = &fwd::SelectBackend);

  // The state as of now; taken up by all workers before their next packet.
  void TakeUp(std::shared_ptr<const fwd::ForwardingState> state) { state_ = std::move(state); }
  fwd::Selection Send(const SimFlow& flow, VipId vip, uint8_t tcp_flags, uint32_t now_s);
  // A complete pass of every worker.
  void Sweep(uint32_t now_s);
  // Oldest state for which all workers vouch that no entry of its absent backends is left.
  uint64_t SweptGeneration() const;
  // Flows alive by the workers' counters.
  uint64_t Alive(BackendId id) const;
  const fwd::ForwardingState& state() const { return *state_; }
  uint64_t HashOf(const SimFlow& flow) const;
  // Flows that were entered into the connection tables, and those for which there was no room.
  uint64_t Inserted() const;
  uint64_t InsertFull() const;

 private:
  struct FreeMemory {
    void operator()(void* block) const { std::free(block); }
  };
  struct Worker {
    explicit Worker(size_t connections);
    std::vector<std::unique_ptr<void, FreeMemory>> memory;
    fwd::WorkerCounters counters;
    fwd::FlowTables tables;
  };
  const SelectFunction select_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<const fwd::ForwardingState> state_;
};

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_DIRECTOR_H_
