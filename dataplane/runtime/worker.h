#ifndef SLUICE_DATAPLANE_RUNTIME_WORKER_H_
#define SLUICE_DATAPLANE_RUNTIME_WORKER_H_

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/probe_ports.h"
#include "dataplane/fwd/unresolved_clients.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/fragment_table.h"
#include "dataplane/runtime/event.h"
#include "dataplane/runtime/handover_queue.h"
#include "dataplane/runtime/idle.h"
#include "dataplane/runtime/mail_slot.h"
#include "dataplane/runtime/port.h"
#include "dataplane/runtime/punt_queue.h"
#include "dataplane/runtime/sleeper.h"
#include "dataplane/runtime/state_publisher.h"
#include "dataplane/stage/pipeline.h"

namespace sluice::runtime {

// What a worker knows of a port.
struct WorkerPort {
  PortId id;
  PortQueue queue;
  PuntQueue* punt = nullptr;      // null: the port has no exception port
  rte_ring* from_host = nullptr;  // packets of the host's kernel; set for the one worker that sends them
};

// Of fragmented packets, for each worker: see lb::FragmentTable.
struct FragmentLimits {
  uint32_t packets = 4096;
  uint32_t held = 256;
  uint32_t timeout_s = 2;
};

struct WorkerSetup {
  WorkerId id;
  uint32_t cpu = 0;
  std::vector<WorkerPort> ports;
  const stage::NodeTraits* node = nullptr;
  StatePublisher* publisher = nullptr;  // the worker is its reader id
  // Signalled before the worker sleeps if it has punted packets: an idle worker may make a system call, a busy one
  // leaves it to the exception thread to look.
  Event* punted = nullptr;
  IdleMode idle = IdleMode::kAdaptive;
  bool rx_interrupts = false;
  std::unique_ptr<fwd::FlowTables> tables;
  size_t max_vips = 0, max_backends = 0;
  FragmentLimits fragments = {};
  const fwd::ProbePorts* probes = nullptr;
};

// The packet path of one core: receives, runs the pipeline, transmits, to completion; between bursts it takes packets
// over from other workers, sends the host's packets, sweeps its tables and passes a quiescent state. Everything here is
// the worker's thread but Connect, Stop, Wake, DropHeld and what counters(), mail() and held() offer.
class Worker final : public stage::PacketSink {
 public:
  explicit Worker(WorkerSetup setup);

  // All workers by id, this one among them, before Run. Without it the worker is the only one.
  void Connect(std::vector<Worker*> workers);
  // Until Stop. A state must have been published.
  void Run();
  // Any thread; Run returns after the current round.
  void Stop();
  // Any thread: packets wait in a from_host ring, or were handed over.
  void Wake();
  // When all workers have stopped: drops and counts what was handed over to this one, and fragments that still wait.
  void DropHeld();

  WorkerId id() const { return setup_.id; }
  uint32_t cpu() const { return setup_.cpu; }
  const fwd::WorkerCounters& counters() const { return counters_; }
  // Questions to this worker; Wake it when one is there.
  MailSlot& mail() { return mail_; }
  // Stations that the worker has packets for and cannot reach. One control thread.
  fwd::UnresolvedClients& unresolved() { return unresolved_; }
  // Packets handed over that the worker has not taken up, and fragments that wait. Any thread.
  uint64_t held() const { return inbox_.size() + counters_.fragments_held.Value(); }
  fwd::TableCapacities capacities() const {
    return {.v4 = setup_.tables->v4().table.capacity(),
            .v6 = setup_.tables->v6().table.capacity(),
            .wide = setup_.tables->wide().table.capacity(),
            .nat = setup_.tables->nat().table().capacity(),
            .stateful = setup_.tables->slots().table.capacity()};
  }

  // stage::PacketSink, for the pipeline.
  void Transmit(PortId port, rte_mbuf** mbufs, size_t count, uint64_t bytes) override;
  void Answer(PortId port, rte_mbuf* mbuf) override;
  void Punt(PortId port, stage::PuntClass punt_class, rte_mbuf* mbuf) override;
  void HandOver(WorkerId owner, rte_mbuf* mbuf) override;

 private:
  // Packets that wait for the end of the round, so that a device is written to once a round.
  struct TxBuffer {
    PortQueue queue;
    Counter* sent = nullptr;  // the fate of those that the device takes
    fwd::PortCounters* port_counters = nullptr;
    size_t count = 0;
    uint64_t bytes = 0;  // stage::FrameBytes
    std::array<rte_mbuf*, stage::kBurstSize> mbufs;
  };
  // A port has one for each fate of its packets.
  enum TxKind : size_t { kForward, kAnswer, kProbe, kTxKinds };
  static constexpr size_t TxIndex(PortId port, TxKind kind) { return port.index() * kTxKinds + kind; }

  // Packets that wait for the end of the round, so that a ring is written to once a round.
  struct HandoverBuffer {
    Worker* owner = nullptr;
    size_t count = 0;
    std::array<rte_mbuf*, stage::kBurstSize> mbufs;
  };

  // What every round does is inlined into it: with calls, and what they save, it has half as many instructions again.

  // One pass over ports and rings; returns how many packets there were.
  [[gnu::always_inline]] inline size_t Round();
  [[gnu::always_inline]] inline size_t Receive(const WorkerPort& port);
  size_t TakeOver();
  [[gnu::always_inline]] inline void ResumeFragments();
  size_t SendForHost(const WorkerPort& port);
  void Append(size_t tx_index, rte_mbuf* mbuf);
  void Flush(TxBuffer& buffer);
  void Flush(HandoverBuffer& buffer);
  // All that wait.
  [[gnu::always_inline]] inline void FlushAll();
  // Puts packets of `bytes` in all into the buffer, sending what fills it.
  void Keep(TxBuffer& buffer, rte_mbuf** mbufs, size_t count, uint64_t bytes);
  // Gives packets of `bytes` in all to the buffer's device, and counts what became of them; those that it does not take
  // are dropped.
  void Send(const TxBuffer& buffer, rte_mbuf** mbufs, size_t count, uint64_t bytes);
  // Once in each sweep_interval_.
  void Housekeep(uint64_t tsc);
  void BeginSecond(uint64_t tsc);
  fwd::FlowFinding LookUp(const fwd::FlowQuestion& question);
  [[gnu::always_inline]] inline void Account(bool had_work, uint64_t tsc);
  void Sleep(uint64_t ns);
  [[gnu::always_inline]] inline void TakeUpState();
  void Drop(rte_mbuf* mbuf, DropReason reason);
  [[gnu::always_inline]] inline uint64_t ToNs(uint64_t cycles) const;

  WorkerSetup setup_;
  fwd::WorkerCounters counters_;
  stage::StageEnv env_;
  stage::Burst burst_;
  // Of setup_.ports, those that a round has to look at, so that it touches no line of the others.
  std::vector<WorkerPort> receiving_, sending_for_host_;
  std::array<TxBuffer, fwd::kMaxPorts * kTxKinds> tx_;  // by TxIndex
  uint64_t tx_filled_ = 0;                              // bits by TxIndex: packets wait there
  static_assert(fwd::kMaxPorts * kTxKinds <= 64);
  std::vector<HandoverBuffer> handovers_;  // by WorkerId
  bool handovers_wait_ = false;
  HandoverQueue inbox_;
  lb::FragmentTable fragments_;
  fwd::UnresolvedClients unresolved_;
  MailSlot mail_;
  Sleeper sleeper_;
  IdlePolicy idle_;
  const uint64_t tsc_hz_;
  const uint64_t sweep_interval_;  // cycles
  uint64_t ns_per_cycle_q32_ = 0;  // in units of 2^-32; known in Run only
  uint64_t start_tsc_ = 0;
  uint64_t round_tsc_ = 0;  // when the current round began, or the first of those that were not clocked
  // A look at the clock takes some 45 cycles, more than half a packet's: under load only every so many rounds have one.
  static constexpr uint32_t kRoundsByClock = 8;
  uint32_t unclocked_rounds_ = 0;  // the last ones, all with full bursts
  uint64_t next_second_tsc_ = 0;
  uint64_t last_sweep_tsc_ = 0;
  uint64_t generation_ = 0;  // of the state in use
  bool has_punted_ = false;  // since the last signal
  std::atomic<bool> stop_ = false;
  std::atomic<uint32_t> sleeping_ = 0;  // 1: about to sleep, or asleep
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_WORKER_H_
