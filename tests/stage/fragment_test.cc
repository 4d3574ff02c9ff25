// Fragments through the whole pipeline: first ones and later ones, waiting, several workers, and packets that are cut
// into fragments on their way out. What the bytes must be is shown by golden cases.

#include <gmock/gmock.h>
#include <rte_mbuf.h>

#include "dataplane/base/check.h"
#include "dataplane/lb/owner.h"
#include "dataplane/lb/slot_table.h"
#include "dataplane/stage/travel_note.h"
#include "tests/stage/allocation_guard.h"
#include "tests/stage/pipeline_fixture.h"

namespace sluice::test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint16_t kMore = 0x2000;
constexpr uint32_t kTimeoutS = 2;  // of the fixture

// Of a UDP packet to the fixture's VIP of 1608 bytes in two halves.
Bytes FirstHalf(uint16_t id) {
  return FrameBuilder{.protocol = 17, .destination_port = 53, .id = id, .fragment = kMore, .payload = 792}.Build();
}
Bytes SecondHalf(uint16_t id) {
  return FrameBuilder{
      .protocol = 17, .source_port = 1, .destination_port = 2, .id = id, .fragment = 100, .payload = 800}
      .Build();
}

class FragmentTest : public PipelineTest {
 protected:
  // An id whose packet's fragments belong to the worker; `frame_of` makes any of them.
  template <typename FrameOf>
  uint16_t IdOwnedBy(WorkerId worker, uint8_t protocol, FrameOf&& frame_of) const {
    for (uint16_t id = 0;; ++id) {
      const Bytes frame = frame_of(id);
      const lb::FragmentId fragment = {.family = net::Family::kIpv4,
                                       .protocol = protocol,
                                       .id = id,
                                       .source = frame.data() + 26,
                                       .destination = frame.data() + 30};
      if (lb::OwnerOfFragments(lb::FragmentHash(state_->keys->owner, fragment), worker_count_) == worker) return id;
    }
  }

  uint64_t Left() const {
    uint64_t left = counters_.forwarded.Value() + counters_.answered.Value() + counters_.punted.Value();
    for (const Counter& dropped : counters_.dropped) left += dropped.Value();
    return left;
  }
};

TEST_F(FragmentTest, ALaterFragmentWaitsAndFollowsTheFirst) {
  Run({SecondHalf(1)});
  EXPECT_THAT(sent(), IsEmpty());
  EXPECT_EQ(record(0).fate, Fate::kBuffered);
  EXPECT_EQ(counters_.fragments_held.Value(), 1u);
  EXPECT_EQ(counters_.received.Value(), Left() + counters_.fragments_held.Value()) << "it is held";
  Run({FirstHalf(1)});
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_EQ(sent()[0].frame.size(), FirstHalf(1).size());
  EXPECT_EQ(sent()[1].frame.size(), SecondHalf(1).size());
  EXPECT_EQ(counters_.fragments_held.Value(), 0u);
  EXPECT_EQ(fragments_.size(), 0u);
}

TEST_F(FragmentTest, OneBurstMayHoldAllOfIt) {
  Run({SecondHalf(1), FirstHalf(1), FirstHalf(2), SecondHalf(2)});
  EXPECT_THAT(sent(), SizeIs(4));
  EXPECT_EQ(counters_.rungs[static_cast<size_t>(fwd::Rung::kScheduler)].Value(), 1u) << "they are one flow's";
}

TEST_F(FragmentTest, WhatWaitsTooLongIsDropped) {
  Run({SecondHalf(1)});
  now_s_ += kTimeoutS;
  ExpireFragments();
  EXPECT_EQ(Dropped(DropReason::kFragmentTimeout), 1u);
  EXPECT_EQ(counters_.fragments_held.Value(), 0u);
}

TEST_F(FragmentTest, FragmentsForTheHostGoToItUntouched) {
  FrameBuilder to_host{.destination = "192.0.2.2", .protocol = 17, .fragment = 100, .payload = 64};
  const Bytes later = to_host.Build();
  to_host.fragment = kMore;
  Run({later, to_host.Build()});
  ASSERT_THAT(punted(), SizeIs(2));
  EXPECT_EQ(punted()[0].frame, later);
}

// Two workers that share tables here: whoever gets a fragment first, all of a packet meet in one place, and are counted
// as received once.
TEST_F(FragmentTest, FragmentsMeetOnTheirOwner) {
  constexpr uint16_t kPackets = 40;
  worker_count_ = 2;
  size_t forwarded = 0;
  for (uint16_t id = 0; id < kPackets; ++id) {
    for (const Bytes& frame : {SecondHalf(id), FirstHalf(id)}) {
      worker_ = WorkerId(static_cast<uint8_t>(id % 2));
      Run({frame});
      forwarded += sent().size();
      size_t hops = 0;
      for (auto moved = sink_.TakeHandedOver(); !moved.empty(); moved = sink_.TakeHandedOver()) {
        ASSERT_LE(++hops, 3u);
        for (const auto& [owner, mbuf] : moved) {
          worker_ = owner;
          Resume({mbuf});
          forwarded += sent().size();
        }
      }
    }
  }
  EXPECT_EQ(forwarded, 2u * kPackets);
  EXPECT_EQ(counters_.received.Value(), 2u * kPackets);
  EXPECT_GT(counters_.handed_over.Value(), 0u);
}

// An ICMP error about a flow that this worker does not know is for the one that does; the last one asked decides.
TEST_F(FragmentTest, AFragmentOfAFlowThatIsElsewhereAsksEachWorkerOnce) {
  worker_count_ = 3;
  const uint16_t id = IdOwnedBy(WorkerId(1), 17, FirstHalf);
  worker_ = WorkerId(1);
  Run({FirstHalf(id)});
  auto moved = sink_.TakeHandedOver();
  ASSERT_THAT(moved, SizeIs(1));
  EXPECT_EQ(moved[0].owner, WorkerId(2));
  worker_ = WorkerId(2);
  Resume({moved[0].mbuf});
  moved = sink_.TakeHandedOver();
  ASSERT_THAT(moved, SizeIs(1));
  EXPECT_EQ(moved[0].owner, WorkerId(0));
  worker_ = WorkerId(0);
  Resume({moved[0].mbuf});
  EXPECT_THAT(sent(), SizeIs(1)) << "nobody has the flow: it begins here";
  worker_ = WorkerId(1);
  Run({SecondHalf(id)});
  EXPECT_THAT(sent(), SizeIs(1)) << "now the flow is known";
}

// Two workers with tables of their own, of which the second has a connection in a slot whose backend drains since. The
// cookie is in the first fragment, and the first worker has to pass it on with the others.
class SlotFragmentTest : public FragmentTest {
 protected:
  SlotFragmentTest() {
    worker_count_ = 2;
    fwd::VipEntry& entry = fixture_.Vip(VipId(0)).entry;
    entry.cookies = entry.slots = true;
    Rebuild();
    RunOn(1, {Segment({}, 0)}, false);
    SLUICE_CHECK(sent_.size() == 1);
    cookie_ = sent_[0].frame[kEchoAt + 3];
    fixture_.AddBackend(pool_v4_, "192.0.2.12");
    fixture_.Drain(backend_v4_);
    Rebuild();
  }

  static constexpr size_t kTcpAt = 34;
  static constexpr size_t kEchoAt = kTcpAt + 28;

  static Bytes Segment(FrameBuilder builder, uint8_t cookie) {
    builder.payload = 780;
    Bytes frame = builder.Build();
    frame[kTcpAt + 12] = 0x80;
    const auto option = std::to_array<uint8_t>({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, cookie});
    std::copy(option.begin(), option.end(), &frame[kTcpAt + 20]);
    return frame;
  }
  Bytes First(uint16_t id) const { return Segment({.tcp_flags = 0x10, .id = id, .fragment = kMore}, cookie_); }
  static Bytes Later(uint16_t id) { return FrameBuilder{.id = id, .fragment = 100, .payload = 800}.Build(); }

  void RunOn(size_t worker, const std::vector<Bytes>& frames, bool resumed) {
    std::vector<rte_mbuf*> mbufs;
    for (const Bytes& frame : frames) mbufs.push_back(MakeMbuf(frame));
    RunMbufsOn(worker, mbufs, resumed);
  }

  void RunMbufsOn(size_t worker, std::vector<rte_mbuf*> mbufs, bool resumed) {
    stage::StageEnv env = MakeEnv();
    env.worker = WorkerId(static_cast<uint8_t>(worker));
    env.tables = &workers_tables_[worker];
    env.fragments = &workers_fragments_[worker];
    {
      const AllocationGuard guard;
      if (resumed) {
        stage::ResumePipeline(mbufs.data(), mbufs.size(), env, here_, sink_);
      } else {
        stage::RunPipeline(mbufs.data(), mbufs.size(), PortId(0), env, here_, sink_);
      }
      while (stage::ResumeFragments(env, released_, sink_) != 0) continue;
    }
    sent_.clear();
    sink_.Collect(sent_, punted_);
  }

  // Runs frames on the first worker, and what it hands over on the second.
  void RunOnBoth(const std::vector<Bytes>& frames) {
    RunOn(0, frames, false);
    EXPECT_THAT(sent_, IsEmpty()) << "the first worker does not know the connection";
    std::vector<rte_mbuf*> mbufs;
    for (const auto& [owner, mbuf] : sink_.TakeHandedOver()) mbufs.push_back(mbuf);
    RunMbufsOn(1, mbufs, true);
  }

  uint8_t cookie_ = 0;
  std::vector<RecordingSink::Sent> sent_;
  std::vector<RecordingSink::Punted> punted_;
  fwd::TableCapacities sizes_ = {.v4 = 100, .v6 = 100, .wide = 100, .nat = 16, .stateful = 64};
  fwd::FlowTables workers_tables_[2] = {{sizes_, memory_.Source(), {}}, {sizes_, memory_.Source(), {}}};
  lb::FragmentTable workers_fragments_[2] = {{16, 64, 2}, {16, 64, 2}};
  stage::Burst here_;
  stage::Burst released_;
};

TEST_F(SlotFragmentTest, TheCookieTravelsWithTheOthers) {
  const uint16_t id = IdOwnedBy(WorkerId(0), 6, Later);
  for (const std::vector<Bytes>& order : {std::vector{First(id), Later(id)}, {Later(id), First(id)}}) {
    RunOnBoth(order);
    ASSERT_THAT(sent_, SizeIs(2));
    for (const RecordingSink::Sent& each : sent_) EXPECT_EQ(each.frame[5], 11) << "not where the slot says";
  }
  EXPECT_EQ(counters_.rungs[static_cast<size_t>(fwd::Rung::kSlot)].Value(), 4u);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
}

TEST_F(FragmentTest, APacketThatWandersIsDropped) {
  worker_count_ = 2;
  worker_ = WorkerId(0);
  uint16_t id = 0;
  std::vector<RecordingSink::HandedOver> moved;
  for (; moved.empty(); ++id) {
    Run({SecondHalf(id)});
    moved = sink_.TakeHandedOver();
  }
  stage::TravelNote note = stage::ReadTravelNote(moved[0].mbuf);
  EXPECT_EQ(note.hops, 1);
  note.hops = 200;
  stage::WriteTravelNote(moved[0].mbuf, note);
  Resume({moved[0].mbuf});
  EXPECT_EQ(Dropped(DropReason::kHandoverLimit), 1u);
}

TEST_F(FragmentTest, APacketInManyBuffersIsCutIntoTheTunnel) {
  const Bytes frame = FrameBuilder{.destination_port = 8080, .payload = 5000}.Build();
  RunMbufs({MakeMbuf(frame, 333)});
  ASSERT_THAT(sent(), SizeIs(4));
  EXPECT_EQ(counters_.originated.Value(), 3u);
  EXPECT_EQ(counters_.forwarded.Value(), 4u);
  // Link-layer header, outer and inner IPv4 header stand before each one's part.
  constexpr size_t kHeaders = 14 + 20 + 20;
  Bytes together;
  for (const auto& piece : sent()) {
    EXPECT_LE(piece.frame.size(), 1500u + 14u);
    together.insert(together.end(), piece.frame.begin() + kHeaders, piece.frame.end());
  }
  EXPECT_EQ(together, Bytes(frame.begin() + 34, frame.end()));
}

TEST_F(FragmentTest, WithoutBuffersForItsPiecesAPacketIsDropped) {
  RunWithoutBuffers(FrameBuilder{.destination_port = 8080, .payload = 1600}.Build());
  EXPECT_EQ(Dropped(DropReason::kFragmentNoBuffer), 1u);
  EXPECT_THAT(sent(), IsEmpty());
}

}  // namespace
}  // namespace sluice::test
