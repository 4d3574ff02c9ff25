#ifndef SLUICE_TESTS_STAGE_PIPELINE_FIXTURE_H_
#define SLUICE_TESTS_STAGE_PIPELINE_FIXTURE_H_

#include <gtest/gtest.h>
#include <rte_mempool.h>

#include <memory>
#include <optional>
#include <vector>

#include "dataplane/stage/pipeline.h"
#include "tests/stage/frames.h"
#include "tests/support/state_fixture.h"

namespace sluice::test {

// Takes what the pipeline hands over, and counts fates as a worker would.
class RecordingSink : public stage::PacketSink {
 public:
  struct Sent {
    PortId port;
    Bytes frame;
    // What the device is asked to do: ol_flags, and the headers' lengths where it is asked for a checksum.
    uint64_t tx_flags = 0;
    uint64_t tx_offload = 0;
  };
  struct Punted {
    PortId port;
    stage::PuntClass punt_class;
    Bytes frame;
  };

  explicit RecordingSink(fwd::WorkerCounters& counters) : counters_(counters) {}
  void Transmit(PortId port, rte_mbuf** mbufs, size_t count, uint64_t bytes) override;
  void Answer(PortId port, rte_mbuf* mbuf) override;
  void Punt(PortId port, stage::PuntClass punt_class, rte_mbuf* mbuf) override;
  void HandOver(WorkerId owner, rte_mbuf* mbuf) override;
  struct HandedOver {
    WorkerId owner;
    rte_mbuf* mbuf;
  };
  // What was handed over since the last call; the buffers are the caller's.
  std::vector<HandedOver> TakeHandedOver();
  // Copies what was taken since the last call and frees it: the pipeline itself runs under an allocation guard.
  void Collect(std::vector<Sent>& sent, std::vector<Punted>& punted);

 private:
  struct Taken {
    rte_mbuf* mbuf;
    PortId port;
    std::optional<stage::PuntClass> punt_class;
  };
  void Take(const Taken& taken);

  fwd::WorkerCounters& counters_;
  // A burst, what it may come to beside, and the fragments that were waiting for a packet of it.
  std::array<Taken, 2 * stage::kBurstSize + stage::ExtraPackets::kMax + stage::ExtraPackets::kMaxCopies> taken_;
  size_t taken_count_ = 0;
  std::array<HandedOver, 2 * stage::kBurstSize> handed_over_;
  size_t handed_over_count_ = 0;
};

// Full NAT from one address of each family and a hundred ports.
fwd::NatSetup NatSetupForTests();

// The whole pipeline on one TCP VIP (203.0.113.10:80, L2), one UDP VIP (:53, L2) and their IPv6 twins (2001:db8:f::10),
// and IPIP VIPs on port 8080; one backend for each family. Every test ends with all packet buffers back in the pool and
// with invariant 2.
class PipelineTest : public testing::Test {
 protected:
  PipelineTest();
  void TearDown() override;

  // A buffer with the frame; in segments of at most `segment` bytes.
  rte_mbuf* MakeMbuf(const Bytes& frame, size_t segment = SIZE_MAX);
  // Runs frames as one burst under the allocation guard; sent() and punted() then hold what left.
  void Run(const std::vector<Bytes>& frames);
  void RunMbufs(std::vector<rte_mbuf*> mbufs);
  // Runs one frame while every other buffer of the pool is taken.
  void RunWithoutBuffers(const Bytes& frame);
  // Lets worker_ take over what another one handed over.
  void Resume(std::vector<rte_mbuf*> mbufs);
  // Lets fragments go whose time is over at now_s_.
  void ExpireFragments();
  // Runs one frame, and expects it to be dropped for `reason`.
  void ExpectDrop(const Bytes& frame, DropReason reason);

  const std::vector<RecordingSink::Sent>& sent() const { return sent_; }
  const std::vector<RecordingSink::Punted>& punted() const { return punted_; }
  uint64_t Dropped(DropReason reason) const { return counters_.dropped[static_cast<size_t>(reason)].Value(); }
  const stage::Packet& record(size_t i) const { return burst_.packets[i]; }
  stage::StageEnv MakeEnv();
  // Takes up changes of `fixture_`.
  void Rebuild();

  StateFixture fixture_;
  PoolId pool_v4_;
  PoolId pool_v6_;
  BackendId backend_v4_;
  BackendId backend_v6_;
  std::shared_ptr<const fwd::ForwardingState> state_;
  stage::NodeTraits node_;
  fwd::WorkerCounters counters_;
  TestMemory memory_;
  fwd::FlowTables tables_;
  RecordingSink sink_;
  lb::FragmentTable fragments_ = lb::FragmentTable(16, 64, 2);
  uint32_t now_s_ = 0;
  WorkerId worker_ = WorkerId(0);
  uint16_t worker_count_ = 1;

 private:
  rte_mempool* pool_;
  stage::Burst burst_;
  stage::Burst resumed_;
  std::vector<RecordingSink::Sent> sent_;
  std::vector<RecordingSink::Punted> punted_;
};

}  // namespace sluice::test

#endif  // SLUICE_TESTS_STAGE_PIPELINE_FIXTURE_H_
