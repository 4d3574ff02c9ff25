#include "dataplane/runtime/exception_thread.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <rte_mbuf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "dataplane/base/check.h"
#include "tests/unit/runtime/eal_fixture.h"

namespace sluice::test {
namespace {

using runtime::ExceptionThread;
using runtime::Tap;
using stage::PuntClass;
using ::testing::Each;
using ::testing::SizeIs;

constexpr uint32_t kNoRateLimit = 1'000'000'000;

// A socket in the place of the TAP: like it, it keeps frames apart, does not block, and cuts what is read short.
class Kernel {
 public:
  Kernel() {
    std::array<int, 2> ends{};
    SLUICE_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    SLUICE_CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    tap_ = std::make_unique<Tap>("tap", ends[0], 1);
    fd_ = ends[1];
  }
  ~Kernel() { close(fd_); }

  Tap* tap() { return tap_.get(); }
  void Send(const Bytes& frame) { SLUICE_CHECK(send(fd_, frame.data(), frame.size(), 0) > 0); }
  // All that waits.
  std::vector<Bytes> Receive() {
    std::vector<Bytes> frames;
    std::array<uint8_t, 2048> buffer;
    for (ssize_t got = 0; (got = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0;) {
      frames.emplace_back(buffer.begin(), buffer.begin() + got);
    }
    return frames;
  }

 private:
  std::unique_ptr<Tap> tap_;
  int fd_ = -1;
};

// The exception thread of one port, with rings that only the test uses. Every test ends with invariant 2, for which
// PutPunted is the packets' entry.
class ExceptionThreadTest : public EalTest {
 protected:
  static constexpr uint32_t kHostRoom = 15;

  ExceptionThreadTest() : from_host_(runtime::MakeRing("from_host", kHostRoom + 1, RING_F_SP_ENQ | RING_F_SC_DEQ)) {}

  void Make(Tap* tap, uint32_t rate_limit_pps = kNoRateLimit) {
    thread_ = std::make_unique<ExceptionThread>(
        std::vector<runtime::ExceptionPort>{{.id = PortId(0),
                                             .tap = tap,
                                             .punt = &punt_,
                                             .from_host = from_host_.get(),
                                             .wake = [this] { woken_.fetch_add(1); }}},
        pool_, rate_limit_pps, &punted_, [] { return uint64_t{0}; });
  }
  void Start() {
    const absl::Status status = thread_->Start();
    ASSERT_TRUE(status.ok()) << status.message();
  }
  void PutPunted(PuntClass punt_class, const std::vector<Bytes>& frames) {
    entered_ += frames.size();
    Put(punt_, punt_class, frames);
    punted_.Signal();
  }
  std::vector<Bytes> TakeFromHost() {
    std::vector<Bytes> frames = Drain(from_host_.get());
    taken_ += frames.size();
    return frames;
  }
  const fwd::WorkerCounters& counters() const { return thread_->counters(); }
  uint64_t Dropped(DropReason reason) const { return test::Dropped(counters(), reason); }

  void TearDown() override {
    thread_->Stop();
    EXPECT_EQ(thread_->held(), 0u);
    uint64_t left = counters().punted.Value() + taken_;
    for (const Counter& dropped : counters().dropped) left += dropped.Value();
    EXPECT_EQ(entered_ + counters().from_host.Value(), left) << "invariant 2: every packet has one fate";
    EalTest::TearDown();
  }

  Kernel kernel_;
  runtime::PuntQueue punt_;
  runtime::Ring from_host_;
  runtime::Event punted_;
  std::atomic<int> woken_ = 0;
  std::unique_ptr<ExceptionThread> thread_;
  uint64_t entered_ = 0;
  uint64_t taken_ = 0;
};

TEST_F(ExceptionThreadTest, DeliversEveryClassToTheKernel) {
  Make(kernel_.tap());
  Start();
  for (size_t i = 0; i < stage::kPuntClassCount; ++i) {
    PutPunted(static_cast<PuntClass>(i), std::vector<Bytes>(20, ArpFrame()));
  }
  ASSERT_TRUE(WaitFor([&] { return counters().punted.Value() == 20 * stage::kPuntClassCount; }));
  const std::vector<Bytes> delivered = kernel_.Receive();
  EXPECT_THAT(delivered, SizeIs(20 * stage::kPuntClassCount));
  EXPECT_THAT(delivered, Each(ArpFrame()));
}

TEST_F(ExceptionThreadTest, WhatTheTapRefusesIsDroppedAndCounted) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(pipe2(pipe.data(), O_NONBLOCK | O_CLOEXEC), 0);
  Tap read_only("tap", pipe[0], 1);
  Make(&read_only);
  Start();
  PutPunted(PuntClass::kControl, std::vector<Bytes>(30, ArpFrame()));
  PutPunted(PuntClass::kOther, std::vector<Bytes>(10, OtherHostFrame()));
  EXPECT_TRUE(WaitFor([&] { return Dropped(DropReason::kPuntWriteFailed) == 40; }));
  thread_->Stop();
  EXPECT_EQ(counters().punted.Value(), 0u);
  close(pipe[1]);
}

TEST_F(ExceptionThreadTest, DoesNotWaitForAKernelThatTakesNoMore) {
  constexpr size_t kFrames = 200;
  Make(kernel_.tap());
  const Bytes large(2000, 0x5a);  // the socket's buffer has room for a part of them
  PutPunted(PuntClass::kControl, std::vector<Bytes>(kFrames, large));
  Start();
  ASSERT_TRUE(WaitFor([&] { return punt_.size() == 0; }));
  thread_->Stop();
  EXPECT_GT(Dropped(DropReason::kPuntWriteFailed), 0u);
  EXPECT_GT(counters().punted.Value(), 0u);
  EXPECT_THAT(kernel_.Receive(), SizeIs(counters().punted.Value()));
}

// A bucket of one token lets at most one packet pass in a turn, whatever time has passed.
TEST_F(ExceptionThreadTest, TheLowestClassAloneIsRateLimited) {
  constexpr size_t kOthers = 400;
  constexpr size_t kQuantum = runtime::kPuntQuantum[static_cast<size_t>(PuntClass::kOther)];
  Make(kernel_.tap(), 1);
  PutPunted(PuntClass::kOther, std::vector<Bytes>(kOthers, OtherHostFrame()));
  PutPunted(PuntClass::kIcmp, std::vector<Bytes>(60, OtherHostFrame()));
  Start();
  ASSERT_TRUE(WaitFor([&] { return punt_.size() == 0; }));
  thread_->Stop();
  const uint64_t limited = Dropped(DropReason::kPuntRateLimited);
  EXPECT_GE(limited, kOthers - kOthers / kQuantum);
  EXPECT_LT(limited, kOthers) << "the first one has a token";
  EXPECT_EQ(counters().punted.Value(), 60 + kOthers - limited);
  EXPECT_THAT(kernel_.Receive(), SizeIs(60 + kOthers - limited));
}

// Each turn that meets nothing but a flood beyond the limit ends in one nap; control packets pass meanwhile.
TEST_F(ExceptionThreadTest, AFloodBeyondTheRateLimitNeitherSpinsNorHoldsUpOthers) {
  constexpr size_t kOthers = 480;
  constexpr size_t kQuantum = runtime::kPuntQuantum[static_cast<size_t>(PuntClass::kOther)];
  Make(kernel_.tap(), 1);
  PutPunted(PuntClass::kOther, std::vector<Bytes>(kOthers, OtherHostFrame()));
  Start();
  PutPunted(PuntClass::kControl, std::vector<Bytes>(10, ArpFrame()));
  ASSERT_TRUE(WaitFor([&] { return punt_.size() == 0 && counters().punted.Value() >= 10; }));
  thread_->Stop();
  constexpr size_t kTurns = kOthers / kQuantum;
  // Few of them brought something: the control packets, the first token.
  EXPECT_GE(counters().sleeps.Value(), kTurns / 2);
  EXPECT_GE(Dropped(DropReason::kPuntRateLimited), kOthers - kTurns);
}

TEST_F(ExceptionThreadTest, PacketsOfTheKernelGoToTheWorkerWhichIsWoken) {
  Make(kernel_.tap());
  Start();
  kernel_.Send(ArpFrame());
  kernel_.Send(OtherHostFrame());
  ASSERT_TRUE(WaitFor([&] { return rte_ring_count(from_host_.get()) == 2 && woken_.load() > 0; }));
  EXPECT_EQ(TakeFromHost(), (std::vector<Bytes>{ArpFrame(), OtherHostFrame()}));
  thread_->Stop();
  EXPECT_EQ(counters().from_host.Value(), 2u);
}

TEST_F(ExceptionThreadTest, PacketsOfTheKernelBeyondTheRingAreDroppedAndCounted) {
  constexpr size_t kFrames = 40;
  Make(kernel_.tap());
  Start();
  for (size_t i = 0; i < kFrames; ++i) kernel_.Send(ArpFrame());
  ASSERT_TRUE(WaitFor([&] { return Dropped(DropReason::kHostQueueFull) == kFrames - kHostRoom; }));
  EXPECT_EQ(counters().from_host.Value(), kFrames);
  EXPECT_EQ(thread_->held(), kHostRoom);
  // No worker is left to send them.
  thread_->Stop();
  EXPECT_EQ(Dropped(DropReason::kHostQueueFull), kFrames);
}

TEST_F(ExceptionThreadTest, WithoutABufferPacketsOfTheKernelAreDroppedAndCounted) {
  Make(kernel_.tap());
  std::vector<rte_mbuf*> all(kMbufs);
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool_, all.data(), kMbufs), 0);
  Start();
  for (size_t i = 0; i < 5; ++i) kernel_.Send(OtherHostFrame());
  EXPECT_TRUE(WaitFor([&] { return Dropped(DropReason::kHostNoBuffer) == 5; }));
  EXPECT_EQ(thread_->held(), 0u);
  rte_pktmbuf_free_bulk(all.data(), kMbufs);
  kernel_.Send(ArpFrame());
  ASSERT_TRUE(WaitFor([&] { return thread_->held() == 1; })) << "it does not recover";
  EXPECT_THAT(TakeFromHost(), Each(ArpFrame()));
  thread_->Stop();
  EXPECT_EQ(counters().from_host.Value(), 6u);
}

TEST_F(ExceptionThreadTest, StopDeliversWhatWorkersLeft) {
  Make(kernel_.tap());
  Start();
  PutPunted(PuntClass::kControl, std::vector<Bytes>(50, ArpFrame()));
  PutPunted(PuntClass::kOther, std::vector<Bytes>(50, OtherHostFrame()));
  thread_->Stop();
  EXPECT_EQ(counters().punted.Value(), 100u);
  EXPECT_THAT(kernel_.Receive(), SizeIs(100));
}

// Wire to kernel and back: both threads, and the sum that the control plane shows.
class WorkerAndExceptionThreadTest : public EalTest {};

TEST_F(WorkerAndExceptionThreadTest, EveryPacketHasOneFateOverBothThreads) {
  for (const runtime::IdleMode idle : {runtime::IdleMode::kPoll, runtime::IdleMode::kAdaptive}) {
    Kernel kernel;
    WorkerRig rig(pool_, {.idle = idle});
    ExceptionThread exception({{.id = PortId(0),
                                .tap = kernel.tap(),
                                .punt = &rig.punt(),
                                .from_host = rig.from_host(),
                                .wake = [&rig] { rig.worker().Wake(); }}},
                              pool_, kNoRateLimit, &rig.punted(), [&rig] { return rig.counters().received.Value(); });
    rig.Start();
    ASSERT_TRUE(exception.Start().ok());
    for (size_t i = 0; i < 10; ++i) {
      Put(rig.device().rx(), VipFrames(20));
      Put(rig.device().rx(), {ArpFrame(), OtherHostFrame()});
      kernel.Send(ArpFrame());
    }
    EXPECT_TRUE(WaitFor([&] { return rte_ring_count(rig.device().tx()) == 210; }));
    EXPECT_TRUE(WaitFor([&] { return exception.counters().punted.Value() == 20; }));
    rig.Stop();
    exception.Stop();
    const fwd::PacketTotals totals = rig.Totals(&exception);
    EXPECT_EQ(totals.received, 220u);
    EXPECT_EQ(totals.from_host, 10u);
    EXPECT_EQ(totals.forwarded, 200u);
    EXPECT_EQ(totals.sent_for_host, 10u);
    EXPECT_EQ(totals.punted, 20u);
    EXPECT_EQ(totals.dropped_total(), 0u);
    EXPECT_EQ(totals.held, 0u);
    EXPECT_EQ(totals.entered(), totals.left());
    EXPECT_THAT(kernel.Receive(), SizeIs(20));
    Drain(rig.device().tx());
  }
}

}  // namespace
}  // namespace sluice::test
