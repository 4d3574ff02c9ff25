// Packets that say nothing of their connection's backend, of which all backends of the VIP get a copy. What the bytes
// must be is shown by golden cases.

#include <gmock/gmock.h>
#include <rte_mbuf.h>

#include <algorithm>

#include "tests/stage/pipeline_fixture.h"

namespace sluice::test {
namespace {

using ::testing::UnorderedElementsAre;

// Three backends, .11 to .13, of VIPs with cookies: by L2 on port 80 and in tunnels on port 8080.
class CopiesTest : public PipelineTest {
 protected:
  CopiesTest() {
    fixture_.AddBackend(pool_v4_, "192.0.2.12");
    fixture_.AddBackend(pool_v4_, "192.0.2.13");
    for (const VipId vip : {kL2, kTunnel}) fixture_.Vip(vip).entry.cookies = true;
    Rebuild();
  }

  static Bytes Reset(FrameBuilder builder = {}) {
    builder.tcp_flags = 0x04;
    return builder.Build();
  }
  // The last bytes of the stations that got something.
  std::vector<int> Stations() const {
    std::vector<int> stations;
    for (const RecordingSink::Sent& each : sent()) stations.push_back(each.frame[5]);
    return stations;
  }
  uint64_t copies() const { return counters_.copies.copies.Value(); }

  static constexpr size_t kTcpFlagsAt = 14 + 20 + 13;
  static constexpr VipId kL2 = VipId(0);
  static constexpr VipId kTunnel = VipId(2);
};

TEST_F(CopiesTest, EachBackendGetsAReset) {
  const Bytes reset = Reset();
  Run({reset});
  EXPECT_THAT(Stations(), UnorderedElementsAre(11, 12, 13));
  EXPECT_EQ(sent()[0].frame[5], state_->backends->at(record(0).backend.index()).ether.destination[5])
      << "the hash's choice comes first";
  for (const RecordingSink::Sent& each : sent()) {
    EXPECT_EQ(Bytes(each.frame.begin() + 12, each.frame.end()), Bytes(reset.begin() + 12, reset.end()));
  }
  EXPECT_EQ(counters_.copies.packets.Value(), 1u);
  EXPECT_EQ(copies(), 2u);
  EXPECT_EQ(counters_.originated.Value(), 2u);
  EXPECT_EQ(counters_.forwarded.Value(), 3u);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
  Run({Reset({.destination_port = 8080})});
  EXPECT_THAT(Stations(), UnorderedElementsAre(11, 12, 13));
}

TEST_F(CopiesTest, TheyLeaveBehindTheirPacket) {
  FrameBuilder other;
  other.source_port = 41000;
  Run({other.Build(), Reset(), other.Build()});
  ASSERT_EQ(sent().size(), 5u);
  EXPECT_EQ(sent()[0].frame, sent()[4].frame);
  for (const size_t i : {1u, 2u, 3u}) EXPECT_EQ(sent()[i].frame[kTcpFlagsAt], 0x04);
}

TEST_F(CopiesTest, WhatHasOneBackendOrIsKnownIsNotCopied) {
  fixture_.Vip(VipId(3)).entry.cookies = true;  // of IPv6, with one backend
  Rebuild();
  FrameBuilder alone = V6();
  FrameBuilder entered;
  entered.source_port = 42000;
  FrameBuilder part = {.fragment = 0x2000, .payload = 12};
  Run({Reset(alone), FrameBuilder().Build(), entered.Build(), Reset(entered), Reset(part)});
  EXPECT_EQ(sent().size(), 5u);
  fixture_.Vip(kL2).entry.first_tier = true;
  Rebuild();
  Run({Reset()});
  EXPECT_EQ(sent().size(), 1u) << "a tier-2 director will copy it";
  fixture_.Vip(kL2).entry.cookies = false;
  Rebuild();
  Run({Reset()});
  EXPECT_EQ(sent().size(), 1u);
  EXPECT_EQ(counters_.copies.packets.Value() + counters_.copies.limited.Value(), 0u);
}

TEST_F(CopiesTest, AreLimited) {
  node_.copies_per_s = 9;  // of which resets may have four
  Run({Reset(), Reset(), Reset(), Reset()});
  EXPECT_EQ(sent().size(), 8u);
  EXPECT_EQ(counters_.copies.packets.Value(), 2u);
  EXPECT_EQ(counters_.copies.limited.Value(), 2u);
  node_.copies_per_s = 0;
  Run({Reset()});
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(CopiesTest, DrainingBackendsGetOneAndThoseThatGiveTheirConnectionsAwayDoNot) {
  Run({Reset()});
  const BackendId chosen = record(0).backend;
  fixture_.Drain(chosen);
  Rebuild();
  Run({Reset()});
  EXPECT_THAT(Stations(), UnorderedElementsAre(11, 12, 13));
  fixture_.Down(chosen, fwd::OnDown::kReschedule);
  Rebuild();
  Run({Reset()});
  EXPECT_EQ(sent().size(), 2u);
}

TEST_F(CopiesTest, WithoutBuffersThePacketGoesAlone) {
  RunWithoutBuffers(Reset());
  EXPECT_EQ(sent().size(), 1u);
  EXPECT_EQ(counters_.copies.no_buffer.Value(), 2u);
  EXPECT_EQ(copies(), 0u);
}

TEST_F(CopiesTest, LeaveAlsoWhenThePacketOrAnotherCannot) {
  Run({Reset()});
  const Bytes to_chosen = sent()[0].frame;
  const Bytes to_other = sent()[1].frame;
  for (const Bytes& to : {to_chosen, to_other}) {
    // It comes from that very backend, which must not get it back.
    Bytes from = Reset();
    std::copy_n(to.begin(), 6, from.begin() + 6);
    Run({from});
    EXPECT_EQ(sent().size(), 2u);
    EXPECT_EQ(record(0).fate, to == to_chosen ? Fate::kDropped : Fate::kForwarded);
  }
  EXPECT_EQ(Dropped(DropReason::kTunnelLoop), 2u);
}

TEST_F(CopiesTest, AreNeitherCutNorAnswered) {
  const FrameBuilder big = {.destination_port = 8080, .fragment = 0x4000, .payload = 1460};
  Run({Reset(big)});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(record(0).fate, Fate::kAnswered);
  EXPECT_EQ(Dropped(DropReason::kTooBig), 2u);
}

}  // namespace
}  // namespace sluice::test
