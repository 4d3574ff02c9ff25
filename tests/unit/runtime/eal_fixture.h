#ifndef SLUICE_TESTS_UNIT_RUNTIME_EAL_FIXTURE_H_
#define SLUICE_TESTS_UNIT_RUNTIME_EAL_FIXTURE_H_

#include <gtest/gtest.h>
#include <rte_mempool.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/runtime/exception_thread.h"
#include "dataplane/runtime/punt_queue.h"
#include "dataplane/runtime/state_publisher.h"
#include "dataplane/runtime/view.h"
#include "dataplane/runtime/worker.h"
#include "tests/stage/frames.h"
#include "tests/support/state_fixture.h"

namespace sluice::test {

// Polls until `condition` holds; false when that takes longer than any healthy machine needs.
bool WaitFor(const std::function<bool()>& condition);

// An ethdev whose receive and transmit queue are rings in the hands of the test: whoever fills the one is the peer that
// sends, and a full other one is a device that takes no more.
class RingDevice {
 public:
  // Sizes are powers of two; a ring of size n holds n - 1 packets.
  RingDevice(uint32_t rx_size, uint32_t tx_size, rte_mempool* pool);
  ~RingDevice();
  RingDevice(const RingDevice&) = delete;
  RingDevice& operator=(const RingDevice&) = delete;

  rte_ring* rx() const { return rx_.get(); }
  rte_ring* tx() const { return tx_.get(); }
  runtime::PortQueue queue() const { return {.device = id_, .queue = 0, .can_receive = true}; }

 private:
  const runtime::Ring rx_;
  const runtime::Ring tx_;
  const std::string name_;
  uint16_t id_ = 0;
};

// Packet buffers for one test, which ends with all of them back in the pool.
class EalTest : public testing::Test {
 protected:
  static constexpr unsigned kMbufs = 2047;

  EalTest();
  void TearDown() override;

  rte_mbuf* MakeMbuf(const Bytes& frame);
  // Into a ring, all or the test stops.
  void Put(rte_ring* ring, const std::vector<Bytes>& frames);
  void Put(runtime::PuntQueue& queue, stage::PuntClass punt_class, const std::vector<Bytes>& frames);
  // What a ring held; the buffers are freed.
  static std::vector<Bytes> Drain(rte_ring* ring);
  // Takes and frees what is in all rings of `queue`; returns how many packets there were.
  static size_t Drain(runtime::PuntQueue& queue);

  rte_mempool* const pool_;
};

// Workers on threads of their own, each with its device of the one port, and the state of StateFixture: a TCP VIP
// 203.0.113.10:80 in L2 mode with one backend 192.0.2.11.
class WorkerRig {
 public:
  struct Options {
    uint32_t tx_size = 1024;
    runtime::IdleMode idle = runtime::IdleMode::kPoll;
    size_t workers = 1;
  };
  WorkerRig(rte_mempool* pool, const Options& options);
  ~WorkerRig();

  void Start();
  void Start(size_t worker);
  // Idempotent.
  void Stop();
  // A next generation, with another backend.
  absl::Status PublishNext();

  // As at shutdown, when all workers have stopped.
  void DropHeld();

  runtime::Worker& worker(size_t i = 0) { return *workers_[i]; }
  const fwd::WorkerCounters& counters(size_t worker = 0) const { return workers_[worker]->counters(); }
  RingDevice& device(size_t worker = 0) { return *devices_[worker]; }
  runtime::PuntQueue& punt() { return punt_; }
  rte_ring* from_host() { return from_host_.get(); }
  runtime::Event& punted() { return punted_; }
  runtime::StatePublisher& publisher() { return publisher_; }
  // All threads' counters, as the control plane sees them. `exception`: may be null.
  fwd::PacketTotals Totals(const runtime::ExceptionThread* exception = nullptr) const;

 private:
  runtime::WorkerSetup MakeSetup(size_t worker, const Options& options);

  class NextHops : public runtime::NextHopSource {
   public:
    void Watch(const std::vector<net::IpAddress>& /*addresses*/) override {}
    fwd::NextHop Lookup(const net::IpAddress& address) override;
  };

  std::vector<std::unique_ptr<RingDevice>> devices_;  // by worker
  runtime::PuntQueue punt_;
  runtime::Ring from_host_;
  runtime::Event punted_;
  NextHops next_hops_;
  StateFixture fixture_;
  PoolId backend_pool_;
  TestMemory memory_;
  stage::NodeTraits node_;
  runtime::StatePublisher publisher_;
  std::vector<std::unique_ptr<runtime::Worker>> workers_;
  std::vector<std::unique_ptr<runtime::Port>> no_ports_;
  runtime::StallMonitor stalls_;
  std::vector<std::thread> threads_;
};

// `count` frames of TCP SYNs to the rig's VIP, each of another client port.
std::vector<Bytes> VipFrames(size_t count);
// What becomes of such a frame on its way to the backend.
Bytes ToBackend(Bytes frame);
// An ARP broadcast (PuntClass::kControl), and a packet to a closed port of the host (PuntClass::kOther).
Bytes ArpFrame();
Bytes OtherHostFrame();

inline uint64_t Dropped(const fwd::WorkerCounters& counters, DropReason reason) {
  return counters.dropped[static_cast<size_t>(reason)].Value();
}

}  // namespace sluice::test

#endif  // SLUICE_TESTS_UNIT_RUNTIME_EAL_FIXTURE_H_
