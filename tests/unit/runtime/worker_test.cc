#include "dataplane/runtime/worker.h"

#include <gmock/gmock.h>
#include <poll.h>

#include <algorithm>
#include <iterator>

#include "dataplane/runtime/memory_plan.h"
#include "tests/unit/runtime/eal_fixture.h"

namespace sluice::test {
namespace {

using ::testing::SizeIs;

constexpr size_t kControlRoom = runtime::kPuntRingSizes[static_cast<size_t>(stage::PuntClass::kControl)] - 1;

// The real worker on a ring device. What the test puts into from_host is what an exception thread would count.
class WorkerTest : public EalTest {
 protected:
  void Start(const WorkerRig::Options& options = {}) {
    Prepare(options);
    rig_->Start();
  }
  void Prepare(const WorkerRig::Options& options) { rig_ = std::make_unique<WorkerRig>(pool_, options); }

  void Receive(const std::vector<Bytes>& frames) { Put(rig_->device().rx(), frames); }
  void FromHost(const std::vector<Bytes>& frames) {
    put_for_host_ += frames.size();
    Put(rig_->from_host(), frames);
  }
  bool WaitForReceived(uint64_t count) {
    return WaitFor([&] { return rig_->counters().received.Value() == count; });
  }
  uint64_t Dropped(DropReason reason) const { return test::Dropped(rig_->counters(), reason); }

  // Stops the worker, checks invariant 2, and empties all rings.
  void Finish() {
    rig_->Stop();
    fwd::PacketTotals totals = rig_->Totals();
    EXPECT_EQ(totals.from_host, 0u);
    totals.from_host = put_for_host_;
    totals.held = rig_->punt().size() + rte_ring_count(rig_->from_host());
    EXPECT_EQ(totals.entered(), totals.left()) << "invariant 2: every packet has one fate";
    Drain(rig_->device().rx());
    Drain(rig_->device().tx());
    Drain(rig_->from_host());
    Drain(rig_->punt());
    rig_.reset();
    put_for_host_ = 0;
  }
  void TearDown() override {
    if (rig_ != nullptr) Finish();
    EalTest::TearDown();
  }

  std::unique_ptr<WorkerRig> rig_;
  uint64_t put_for_host_ = 0;
};

TEST_F(WorkerTest, ForwardsFromTheReceiveQueueToTheTransmitQueue) {
  const std::vector<Bytes> frames = VipFrames(200);
  Start();
  Receive(frames);
  std::vector<Bytes> expected;
  std::transform(frames.begin(), frames.end(), std::back_inserter(expected), ToBackend);
  ASSERT_TRUE(WaitFor([&] { return rte_ring_count(rig_->device().tx()) == frames.size(); }));
  rig_->Stop();
  EXPECT_EQ(Drain(rig_->device().tx()), expected);
  const fwd::WorkerCounters& counters = rig_->counters();
  EXPECT_EQ(counters.received.Value(), frames.size());
  EXPECT_EQ(counters.forwarded.Value(), frames.size());
  EXPECT_EQ(counters.ports[0].tx_packets.Value(), frames.size());
  EXPECT_EQ(counters.ports[0].tx_bytes.Value(), frames.size() * frames[0].size());
  EXPECT_EQ(counters.state_generation.Value(), 1u);
  EXPECT_GT(counters.polls.Value(), counters.empty_polls.Value());
}

// Rounds of full bursts are not clocked one by one: fewer than would be clocked together are busy time as well.
TEST_F(WorkerTest, TheTimeOfFullBurstsIsBusyTime) {
  constexpr size_t kBursts = 4;
  Prepare({});
  Receive(VipFrames(kBursts * stage::kBurstSize));
  rig_->Start();
  const fwd::WorkerCounters& counters = rig_->counters();
  ASSERT_TRUE(WaitFor([&] { return counters.empty_polls.Value() > 0; }));
  rig_->Stop();
  EXPECT_EQ(counters.received.Value(), kBursts * stage::kBurstSize);
  EXPECT_GT(counters.busy_cycles.Value(), 0u);
  EXPECT_EQ(counters.polls.Value(), counters.empty_polls.Value() + kBursts);
}

TEST_F(WorkerTest, WhatTheTransmitQueueDoesNotTakeIsDroppedAndCounted) {
  constexpr size_t kRoom = 15;
  const std::vector<Bytes> frames = VipFrames(100);
  Start({.tx_size = kRoom + 1});
  Receive(frames);
  ASSERT_TRUE(WaitForReceived(frames.size()));
  rig_->Stop();
  const fwd::WorkerCounters& counters = rig_->counters();
  EXPECT_EQ(counters.forwarded.Value(), kRoom);
  EXPECT_EQ(Dropped(DropReason::kTxQueueFull), frames.size() - kRoom);
  EXPECT_EQ(counters.ports[0].tx_packets.Value(), kRoom);
  EXPECT_EQ(counters.ports[0].tx_bytes.Value(), kRoom * frames[0].size());
  EXPECT_THAT(Drain(rig_->device().tx()), SizeIs(kRoom));
}

TEST_F(WorkerTest, AFloodOfOneClassFillsItsOwnPuntRingOnly) {
  constexpr size_t kTooMany = 45;
  constexpr size_t kOthers = 10;
  Start();
  Receive(std::vector<Bytes>(kControlRoom + kTooMany, ArpFrame()));
  ASSERT_TRUE(WaitForReceived(kControlRoom + kTooMany));
  Receive(std::vector<Bytes>(kOthers, OtherHostFrame()));
  ASSERT_TRUE(WaitForReceived(kControlRoom + kTooMany + kOthers));
  rig_->Stop();
  EXPECT_EQ(Dropped(DropReason::kPuntQueueFull), kTooMany);
  EXPECT_EQ(rig_->punt().size(), kControlRoom + kOthers);
  EXPECT_EQ(rig_->counters().punted.Value(), 0u) << "only the exception thread knows whether the kernel took them";
}

TEST_F(WorkerTest, PacketsOfTheHostLeaveUnchangedAndAreCountedApart) {
  const std::vector<Bytes> frames(40, ArpFrame());
  Start();
  FromHost(frames);
  ASSERT_TRUE(WaitFor([&] { return rig_->counters().sent_for_host.Value() == frames.size(); }));
  rig_->Stop();
  EXPECT_EQ(Drain(rig_->device().tx()), frames);
  EXPECT_EQ(rig_->counters().received.Value(), 0u);
  EXPECT_EQ(rig_->counters().forwarded.Value(), 0u);
  EXPECT_EQ(rig_->counters().ports[0].tx_packets.Value(), frames.size());
  EXPECT_EQ(rig_->counters().ports[0].tx_bytes.Value(), frames.size() * frames[0].size());
}

TEST_F(WorkerTest, PacketsOfTheHostAreDroppedWhenTheTransmitQueueIsFull) {
  constexpr size_t kRoom = 7;
  constexpr size_t kPackets = 40;
  Start({.tx_size = kRoom + 1});
  FromHost(std::vector<Bytes>(kPackets, ArpFrame()));
  ASSERT_TRUE(WaitFor([&] { return Dropped(DropReason::kTxQueueFull) == kPackets - kRoom; }));
  rig_->Stop();
  EXPECT_EQ(rig_->counters().sent_for_host.Value(), kRoom);
}

TEST_F(WorkerTest, AnIdleAdaptiveWorkerSleepsAndStillServesPortAndHost) {
  Start({.idle = runtime::IdleMode::kAdaptive});
  const fwd::WorkerCounters& counters = rig_->counters();
  for (size_t round = 1; round <= 3; ++round) {
    const uint64_t slept = counters.sleeps.Value();
    ASSERT_TRUE(WaitFor([&] { return counters.sleeps.Value() >= slept + 5; })) << "an idle worker does not sleep";
    Receive(VipFrames(50));
    FromHost(std::vector<Bytes>(5, ArpFrame()));
    rig_->worker().Wake();
    ASSERT_TRUE(WaitFor([&] { return counters.forwarded.Value() == 50 * round; }));
    ASSERT_TRUE(WaitFor([&] { return counters.sent_for_host.Value() == 5 * round; }));
  }
  EXPECT_GT(counters.slept_ns.Value(), 0u);
}

TEST_F(WorkerTest, APollingWorkerNeverSleeps) {
  Start({.idle = runtime::IdleMode::kPoll});
  ASSERT_TRUE(WaitFor([&] { return rig_->counters().empty_polls.Value() > 100'000; }));
  EXPECT_EQ(rig_->counters().sleeps.Value(), 0u);
}

TEST_F(WorkerTest, TellsOfPuntedPacketsBeforeItSleeps) {
  Start({.idle = runtime::IdleMode::kAdaptive});
  pollfd signalled{.fd = rig_->punted().fd(), .events = POLLIN, .revents = 0};
  ASSERT_TRUE(WaitFor([&] { return rig_->counters().sleeps.Value() >= 3; }));
  EXPECT_EQ(poll(&signalled, 1, 0), 0) << "there was nothing to tell";
  Receive({ArpFrame()});
  EXPECT_TRUE(WaitFor([&] { return poll(&signalled, 1, 0) == 1; }));
  EXPECT_EQ(rig_->punt().size(), 1u);
}

TEST_F(WorkerTest, ASleepingWorkerTakesUpNewStatesAndHoldsNoOldOne) {
  Start({.idle = runtime::IdleMode::kAdaptive});
  for (uint64_t generation = 2; generation <= 4; ++generation) {
    ASSERT_TRUE(rig_->PublishNext().ok());
    ASSERT_TRUE(WaitFor([&] { return rig_->counters().state_generation.Value() == generation; }));
    ASSERT_TRUE(WaitFor([&] { return rig_->publisher().Reclaim() == 0; })) << "the worker holds an old state";
  }
}

// Whatever the moment of the stop, what was taken from the device is accounted for, and the rest is still there.
TEST_F(WorkerTest, StopLeavesNoPacketUncounted) {
  constexpr size_t kFrames = 1000;
  for (const size_t stop_after : {size_t{0}, size_t{1}, size_t{100}, size_t{500}}) {
    Prepare({});
    Receive(VipFrames(kFrames));
    FromHost(std::vector<Bytes>(100, ArpFrame()));
    rig_->Start();
    ASSERT_TRUE(WaitFor([&] { return rig_->counters().received.Value() >= stop_after; }));
    rig_->Stop();
    const fwd::WorkerCounters& counters = rig_->counters();
    EXPECT_EQ(counters.received.Value() + rte_ring_count(rig_->device().rx()), kFrames);
    EXPECT_EQ(Drain(rig_->device().tx()).size(), counters.forwarded.Value() + counters.sent_for_host.Value());
    Finish();
  }
}

TEST_F(WorkerTest, AnswersQuestionsAboutFlowsBetweenBursts) {
  const std::vector<Bytes> frames = VipFrames(1);
  const fwd::FlowQuestion question = {.client = Address("198.51.100.1"),
                                      .destination = Address("203.0.113.10"),
                                      .client_port = Be16::FromHost(10000),
                                      .destination_port = Be16::FromHost(80),
                                      .protocol = net::kProtocolTcp};
  for (const runtime::IdleMode idle : {runtime::IdleMode::kPoll, runtime::IdleMode::kAdaptive}) {
    Start({.idle = idle});
    runtime::MailSlot& mail = rig_->worker().mail();
    fwd::FlowFinding finding;
    EXPECT_FALSE(mail.TakeAnswer(&finding));
    ASSERT_TRUE(mail.Ask(question));
    ASSERT_TRUE(WaitFor([&] { return mail.TakeAnswer(&finding); }));
    EXPECT_EQ(finding.rung, fwd::Rung::kScheduler);
    EXPECT_FALSE(finding.tracked.exists);
    EXPECT_EQ(finding.generation, 1u);
    EXPECT_EQ(finding.tunnel_source, Address("192.0.2.2"));
    Receive(frames);
    ASSERT_TRUE(WaitForReceived(frames.size()));
    // Its packet was received, but may not be through the pipeline when the question comes.
    ASSERT_TRUE(WaitFor([&] {
      return mail.Ask(question) && WaitFor([&] { return mail.TakeAnswer(&finding); }) && finding.tracked.exists;
    }));
    EXPECT_EQ(finding.rung, fwd::Rung::kConnectionTable);
    EXPECT_EQ(rig_->counters().received.Value(), frames.size());
    Finish();
  }
}

TEST_F(WorkerTest, AQuestionToAWorkerThatStandsStillIsGivenUp) {
  Prepare({});
  runtime::MailSlot& mail = rig_->worker().mail();
  fwd::FlowFinding finding;
  ASSERT_TRUE(mail.Ask({}));
  EXPECT_FALSE(mail.TakeAnswer(&finding));
  mail.GiveUp();
  size_t served = 0;
  mail.Serve([&](const fwd::FlowQuestion&) {
    ++served;
    return fwd::FlowFinding();
  });
  EXPECT_EQ(served, 0u);
  // While the worker has one in hand, there is no room for the next.
  ASSERT_TRUE(mail.Ask({}));
  mail.Serve([&](const fwd::FlowQuestion&) {
    EXPECT_FALSE(mail.Ask({}));
    mail.GiveUp();
    ++served;
    fwd::FlowFinding answer;
    answer.generation = 7;
    return answer;
  });
  EXPECT_EQ(served, 1u);
  ASSERT_TRUE(mail.TakeAnswer(&finding));
  EXPECT_EQ(finding.generation, 7u);
  rig_->Start();
}

}  // namespace
}  // namespace sluice::test
