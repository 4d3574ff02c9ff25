#include <gtest/gtest.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "dataplane/runtime/worker.h"
#include "dataplane/stage/frame_bytes.h"

namespace sluice::runtime {
namespace {

// No device probed in this process has this number.
constexpr uint16_t kDevice = RTE_MAX_ETHPORTS - 1;

// Stands for a device with room for `room` packets more, behind DPDK's own table of devices.
class FullDevice {
 public:
  explicit FullDevice(size_t room) : room_(room) {
    struct rte_eth_fp_ops& ops = rte_eth_fp_ops[kDevice];
    saved_ = ops;
    ops.txq = {.data = queues_.data(), .clbk = callbacks_.data()};
    ops.tx_pkt_burst = [](void* self, rte_mbuf**, uint16_t count) {
      size_t& left = static_cast<FullDevice*>(self)->room_;
      const size_t taken = std::min<size_t>(left, count);
      left -= taken;
      return static_cast<uint16_t>(taken);
    };
  }
  ~FullDevice() { rte_eth_fp_ops[kDevice] = saved_; }

 private:
  size_t room_;
  std::array<void*, 1> queues_ = {this};
  std::array<void*, 1> callbacks_ = {nullptr};
  struct rte_eth_fp_ops saved_;
};

class WorkerAnswerTest : public ::testing::Test {
 protected:
  WorkerAnswerTest() {
    WorkerSetup setup;
    setup.id = WorkerId(0);
    setup.ports.push_back({.id = PortId(0), .queue = {.device = kDevice, .queue = 0, .can_receive = false}});
    setup.max_vips = setup.max_backends = 1;
    worker_ = std::make_unique<Worker>(std::move(setup));
    for (rte_mbuf& mbuf : mbufs_) {
      mbuf = {};
      // Freeing gives back this reference; there is no pool.
      rte_mbuf_refcnt_set(&mbuf, 2);
      mbuf.nb_segs = 1;
      mbuf.pkt_len = mbuf.data_len = 100;
    }
  }
  size_t Freed() const {
    return static_cast<size_t>(
        std::count_if(mbufs_.begin(), mbufs_.end(), [](const rte_mbuf& m) { return rte_mbuf_refcnt_read(&m) == 1; }));
  }
  uint64_t Dropped() const {
    return worker_->counters().dropped[static_cast<size_t>(DropReason::kTxQueueFull)].Value();
  }

  std::unique_ptr<Worker> worker_;
  // One more than a buffer holds, so that the last one sends the others.
  std::array<rte_mbuf, stage::kBurstSize + 1> mbufs_;
};

TEST_F(WorkerAnswerTest, AnsweredIsWhatTheDeviceTookAndTheRestIsDropped) {
  FullDevice device(5);
  for (rte_mbuf& mbuf : mbufs_) worker_->Answer(PortId(0), &mbuf);
  const fwd::WorkerCounters& counters = worker_->counters();
  EXPECT_EQ(counters.answered.Value(), 5u);
  EXPECT_EQ(counters.forwarded.Value(), 0u);
  EXPECT_EQ(Dropped(), stage::kBurstSize - 5);
  EXPECT_EQ(Freed(), stage::kBurstSize - 5);
  EXPECT_EQ(counters.ports[0].tx_packets.Value(), 5u);
  EXPECT_EQ(counters.ports[0].tx_bytes.Value(), 500u);
}

TEST_F(WorkerAnswerTest, ForwardedPacketsAreCountedApartFromAnswers) {
  FullDevice device(7);
  for (rte_mbuf& mbuf : mbufs_) {
    rte_mbuf* packet = &mbuf;
    worker_->Transmit(PortId(0), &packet, 1, mbuf.pkt_len);
  }
  EXPECT_EQ(worker_->counters().forwarded.Value(), 7u);
  EXPECT_EQ(worker_->counters().answered.Value(), 0u);
  EXPECT_EQ(Dropped(), stage::kBurstSize - 7);
}

TEST_F(WorkerAnswerTest, BytesAreThoseOfWhatTheDeviceTook) {
  FullDevice device(stage::kBurstSize + 7);
  std::vector<rte_mbuf*> packets;
  uint64_t taken = 0;
  for (rte_mbuf& mbuf : mbufs_) {
    mbuf.pkt_len = static_cast<uint32_t>(60 + 100 * packets.size());
    packets.push_back(&mbuf);
  }
  const auto transmit = [&](size_t first, size_t count) {
    worker_->Transmit(PortId(0), &packets[first], count, stage::FrameBytes(&packets[first], count));
  };
  // A burst that fills the buffer before all of it is in, so that a part is sent with what was there.
  transmit(0, 5);
  transmit(1, stage::kBurstSize);
  taken += stage::FrameBytes(packets.data(), 5) + stage::FrameBytes(&packets[1], stage::kBurstSize - 5);
  EXPECT_EQ(worker_->counters().ports[0].tx_bytes.Value(), taken);
  // What was left of it goes with the next, of which the device does not take the last.
  transmit(0, stage::kBurstSize - 5);
  transmit(0, 1);
  taken += stage::FrameBytes(&packets[stage::kBurstSize - 4], 5) + stage::FrameBytes(packets.data(), 2);
  EXPECT_EQ(worker_->counters().ports[0].tx_bytes.Value(), taken);
  EXPECT_EQ(worker_->counters().forwarded.Value(), stage::kBurstSize + 7);
  EXPECT_EQ(Dropped(), stage::kBurstSize - 7);
}

TEST_F(WorkerAnswerTest, AnswersDoNotShareABufferWithForwardedPackets) {
  FullDevice device(stage::kBurstSize);
  rte_mbuf forwarded = mbufs_[0];
  rte_mbuf* packet = &forwarded;
  worker_->Transmit(PortId(0), &packet, 1, forwarded.pkt_len);
  for (rte_mbuf& mbuf : mbufs_) worker_->Answer(PortId(0), &mbuf);
  EXPECT_EQ(worker_->counters().answered.Value(), stage::kBurstSize);
  EXPECT_EQ(worker_->counters().forwarded.Value(), 0u);
  EXPECT_EQ(Dropped(), 0u);
}

}  // namespace
}  // namespace sluice::runtime
