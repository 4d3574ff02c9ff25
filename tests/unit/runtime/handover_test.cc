#include <gtest/gtest.h>

#include "dataplane/runtime/memory_plan.h"
#include "tests/unit/runtime/eal_fixture.h"

namespace sluice::test {
namespace {

constexpr size_t kRingRoom = runtime::kHandoverRingSize - 1;

// Halves of a TCP packet to the rig's VIP; each packet another id.
Bytes Half(uint16_t id, bool first) {
  return FrameBuilder{.id = id, .fragment = static_cast<uint16_t>(first ? 0x2000 : 100), .payload = 780}.Build();
}

// Two workers, each with a port of its own, and the packets that go from one to the other.
class HandoverTest : public EalTest {
 protected:
  void Make(runtime::IdleMode idle) {
    rig_ = std::make_unique<WorkerRig>(pool_, WorkerRig::Options{.idle = idle, .workers = 2});
  }

  const fwd::WorkerCounters& counters(size_t worker) const { return rig_->counters(worker); }
  uint64_t Sum(Counter fwd::WorkerCounters::*counter) const {
    return (counters(0).*counter).Value() + (counters(1).*counter).Value();
  }
  uint64_t Forwarded() const { return Sum(&fwd::WorkerCounters::forwarded); }

  // With rings and buffers that may hold packets.
  void ExpectSum() const {
    const fwd::PacketTotals totals = rig_->Totals();
    EXPECT_EQ(totals.entered(), totals.left()) << "invariant 2: every packet has one fate";
  }
  void Finish() {
    rig_->Stop();
    ExpectSum();
    rig_->DropHeld();
    ExpectSum();
    EXPECT_EQ(rig_->Totals().held, 0u);
    for (size_t i = 0; i < 2; ++i) {
      Drain(rig_->device(i).rx());
      Drain(rig_->device(i).tx());
    }
    rig_.reset();
  }
  void TearDown() override {
    if (rig_ != nullptr) Finish();
    EalTest::TearDown();
  }

  std::unique_ptr<WorkerRig> rig_;
};

TEST_F(HandoverTest, FragmentsFindEachOtherAcrossWorkers) {
  constexpr uint16_t kPackets = 100;
  for (const runtime::IdleMode idle : {runtime::IdleMode::kPoll, runtime::IdleMode::kAdaptive}) {
    Make(idle);
    rig_->Start();
    for (uint16_t id = 0; id < kPackets; ++id) {
      Put(rig_->device(id % 2).rx(), {Half(id, false)});
      Put(rig_->device((id + 1) % 2).rx(), {Half(id, true)});
      ASSERT_TRUE(WaitFor([&] { return Forwarded() == 2u * (id + 1); })) << "packet " << id;
    }
    rig_->Stop();
    EXPECT_EQ(Sum(&fwd::WorkerCounters::received), 2u * kPackets);
    EXPECT_EQ(Sum(&fwd::WorkerCounters::handed_over), Sum(&fwd::WorkerCounters::taken_over));
    EXPECT_GE(Sum(&fwd::WorkerCounters::handed_over), uint64_t{kPackets}) << "one half of each came elsewhere";
    EXPECT_EQ(rig_->Totals().held, 0u);
    Finish();
  }
}

TEST_F(HandoverTest, WhatTheOwnersRingDoesNotTakeIsDroppedByTheSender) {
  Make(runtime::IdleMode::kPoll);
  // Only the first worker runs: what is the other's stays in its ring.
  rig_->Start(0);
  uint64_t received = 0;
  while (Dropped(counters(0), DropReason::kHandoverQueueFull) < 100) {
    Put(rig_->device(0).rx(), {Half(static_cast<uint16_t>(received), true)});
    ++received;
    ASSERT_TRUE(WaitFor([&] { return counters(0).received.Value() == received; }));
    Drain(rig_->device(0).tx());
    ASSERT_LT(received, 100'000u);
  }
  EXPECT_EQ(counters(0).handed_over.Value(), kRingRoom);
  EXPECT_EQ(rig_->Totals().held, kRingRoom);
  rig_->Stop();
}

TEST_F(HandoverTest, ASleepingOwnerTakesOver) {
  Make(runtime::IdleMode::kAdaptive);
  rig_->Start();
  for (uint16_t id = 0; id < 10; ++id) {
    const uint64_t slept = counters(1).sleeps.Value();
    ASSERT_TRUE(WaitFor([&] { return counters(1).sleeps.Value() >= slept + 5; }));
    const uint64_t before = Forwarded();
    Put(rig_->device(0).rx(), {Half(id, true), Half(id, false)});
    ASSERT_TRUE(WaitFor([&] { return Forwarded() == before + 2; }));
  }
}

}  // namespace
}  // namespace sluice::test
