// That packets of a kind come to lie behind each other, in the order in which they came.

#include "dataplane/stage/group_by_kind.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/stage/eight_frames.h"
#include "dataplane/stage/fast_parse.h"
#include "tests/stage/frames.h"
#include "tests/stage/pipeline_fixture.h"
#include "tests/stage/two_directors.h"
#include "tests/support/packets.h"

namespace sluice::test {
namespace {

using Kind = stage::PacketKind;
using enum stage::PacketKind;

struct Sample {
  Kind kind;
  Bytes frame;
};

FrameBuilder Udp4() { return {.protocol = 17}; }
FrameBuilder Udp6() {
  FrameBuilder builder = V6();
  builder.protocol = 17;
  return builder;
}

// As many bytes as are needed to tell the kind, or one less.
Bytes Cut(Bytes frame, size_t bytes) {
  frame.resize(bytes);
  return frame;
}

std::vector<Sample> Samples() {
  constexpr size_t kTold = 24;
  const auto tcp_v4 = FrameBuilder().Build();
  std::vector<Sample> samples = {
      {kTcpV4, tcp_v4},
      {kUdpV4, Udp4().Build()},
      {kTcpV6, V6().Build()},
      {kUdpV6, Udp6().Build()},
      // Packets that may be of the same flow.
      {kTcpV4, FrameBuilder{.bad_checksum = true}.Build()},
      {kTcpV4, Ether(0x0800) + Ipv4(6, 20, 7) + Tcp(16)},
      {kUdpV4, FrameBuilder{.protocol = 17, .fragment = 0x2000, .payload = 16}.Build()},
      {kUdpV4, FrameBuilder{.protocol = 17, .fragment = 2, .payload = 16}.Build()},
      {kTcpV4, Cut(tcp_v4, kTold)},
      // All others.
      {kOther, Cut(tcp_v4, kTold - 1)},
      {kOther, Cut(V6().Build(), kTold - 1)},
      {kOther, Cut(tcp_v4, 1)},
      {kOther, FrameBuilder{.vlan_tags = 1}.Build()},
      {kOther, Ether(0x0800) + Ipv4(1, 8) + Icmp(8)},
      {kOther, Ether(0x86dd) + Ipv6(58, 8) + Icmp(128)},
      // Extension headers, before what may be of a flow.
      {kOther, Ether(0x86dd) + Ipv6(44, 28) + FromHex("06 00 00 00 00 00 00 00") + Tcp(16)},
      {kOther, Ether(0x86dd) + Ipv6(60, 28) + FromHex("06 00 01 04 00 00 00 00") + Tcp(16)},
      {kOther, Ether(0x0806) + Bytes(28)},
  };
  // Of neither, but where the other family's packets tell theirs, it says so.
  for (const uint8_t protocol : {uint8_t{6}, uint8_t{17}}) {
    Bytes v4 = Ether(0x0800) + Ipv4(1, 8) + Icmp(8), v6 = Ether(0x86dd) + Ipv6(58, 8) + Icmp(128);
    v4[20] = v6[23] = protocol;
    samples.push_back({kOther, v4});
    samples.push_back({kOther, v6});
  }
  return samples;
}

template <typename T>
void Group(std::vector<std::pair<Kind, T>>& packets) {
  std::stable_sort(packets.begin(), packets.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
}

class GroupByKindTest : public PipelineTest {
 protected:
  size_t Draw(size_t count) { return random_() % count; }
  std::mt19937 random_{1};
};

TEST_F(GroupByKindTest, KeepsOrderWithinKinds) {
  const std::vector<Sample> samples = Samples();
  for (int round = 0; round < 400; ++round) {
    const size_t count = 1 + Draw(stage::kBurstSize);
    // Of all kinds, of few, of one.
    const size_t kinds = 1 + Draw(samples.size()), first = Draw(samples.size());
    std::vector<rte_mbuf*> mbufs;
    std::vector<std::pair<Kind, rte_mbuf*>> expected;
    for (size_t i = 0; i < count; ++i) {
      const Sample& sample = samples[(first + Draw(kinds)) % samples.size()];
      mbufs.push_back(MakeMbuf(sample.frame));
      expected.emplace_back(sample.kind, mbufs.back());
    }
    size_t alike = 0;
    while (alike < count && expected[alike].first == kTcpV4) ++alike;
    const size_t known = Draw(std::min(alike + 1, count));
    Group(expected);
    const stage::KindGroups groups = stage::GroupByKind(mbufs.data(), known, count);
    for (const Kind kind : {Kind::kTcpV4, Kind::kUdpV4, Kind::kTcpV6, Kind::kUdpV6}) {
      const auto of_kind = [kind](const auto& each) { return each.first == kind; };
      const auto from = expected.begin() + static_cast<ptrdiff_t>(known);
      const auto some = std::count_if(from, expected.end(), of_kind);
      ASSERT_EQ(groups.end(kind) - groups.begin(kind), static_cast<size_t>(some));
      if (some == 0) continue;
      const auto begin = std::find_if(from, expected.end(), of_kind);
      EXPECT_EQ(groups.begin(kind), static_cast<size_t>(begin - expected.begin()));
    }
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(mbufs[i], expected[i].second) << "of " << count << " at " << i;
    rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(count));
  }
}

TEST_F(GroupByKindTest, BuffersOfAPacketMakeNoKind) {
  FrameBuilder large, small;
  large.payload = 600;
  std::vector<rte_mbuf*> mbufs = {MakeMbuf(V6().Build()), MakeMbuf(large.Build(), 200), MakeMbuf(small.Build())};
  const std::vector<rte_mbuf*> expected = {mbufs[1], mbufs[2], mbufs[0]};
  EXPECT_EQ(stage::GroupByKind(mbufs.data(), 0, mbufs.size()).end(kTcpV4), 2u);
  EXPECT_EQ(mbufs, expected);
  for (rte_mbuf* mbuf : mbufs) rte_pktmbuf_free(mbuf);
}

// What is sent, with the fast path and without.
class GroupedBurstsTest : public TwoDirectorsRunsTest {
 protected:
  // In the order in which they leave.
  static std::vector<uint16_t> PortsOf(const Director& director) {
    std::vector<uint16_t> ports;
    for (const auto& sent : director.sent) {
      const size_t l4 = 14 + (sent.frame[12] == 0x08 ? 20 : 40);
      ports.push_back(static_cast<uint16_t>(sent.frame[l4] << 8 | sent.frame[l4 + 1]));
    }
    return ports;
  }
};

// Kinds in turn from the first packet on, or once eight of one kind were parsed; bursts in which some are left over,
// and one that is too small.
TEST_P(GroupedBurstsTest, LeaveGrouped) {
  for (const auto& [leading, alike] :
       std::vector<std::pair<Kind, size_t>>{{kTcpV4, 0}, {kTcpV4, 11}, {kTcpV6, 11}, {kUdpV4, 11}}) {
    for (const size_t count : {size_t{7}, size_t{8}, size_t{21}, stage::kBurstSize}) {
      std::vector<Bytes> frames;
      std::vector<std::pair<Kind, uint16_t>> expected;
      for (size_t i = 0; i < count; ++i) {
        const Kind kind = i < alike ? leading : static_cast<Kind>((4 - i % 4) % 4);
        FrameBuilder builder = kind == kTcpV6 || kind == kUdpV6 ? V6() : FrameBuilder();
        if (kind == kUdpV4 || kind == kUdpV6) builder.protocol = 17, builder.destination_port = 53;
        builder.source_port = static_cast<uint16_t>(1000 + i);
        expected.emplace_back(kind, builder.source_port);
        frames.push_back(builder.Build());
      }
      if (count >= 8) Group(expected);
      std::vector<uint16_t> ports;
      for (const auto& [kind, port] : expected) ports.push_back(port);
      ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames, 0));
      EXPECT_EQ(PortsOf(*common_), ports) << "of " << count << ", alike " << alike;
      EXPECT_EQ(PortsOf(*stages_), ports) << "of " << count << ", alike " << alike;
    }
  }
}

// Packets of several kinds in turn are checked eight at a time, too; of those behind eights of the first kind, too.
TEST_P(GroupedBurstsTest, HaveEights) {
  std::array<FrameBuilder, 4> kinds = {FrameBuilder(), FrameBuilder(), V6(), V6()};
  kinds[1].protocol = kinds[3].protocol = net::kProtocolUdp;
  for (FrameBuilder& kind : kinds) kind.payload = 20;
  for (size_t pair = 0; pair < kinds.size() * kinds.size(); ++pair) {
    const size_t first_kind = pair / kinds.size();
    const size_t second_kind = pair % kinds.size();
    for (const size_t alone : {0u, 8u, 16u}) {
      std::array<size_t, kinds.size()> counts{};
      std::vector<rte_mbuf*> mbufs;
      for (size_t i = 0; i < stage::kBurstSize; ++i) {
        // The two in turn, behind those of the first alone.
        const size_t kind = i < alone || i % 2 == 0 ? first_kind : second_kind;
        ++counts[kind];
        mbufs.push_back(MakeMbuf(kinds[kind].Build()));
      }
      stage::Burst& burst = common_->burst;
      burst.count = mbufs.size();
      stage::Parsed parsed;
      stage::ParseOnFastPath(mbufs.data(), PortId(0), burst, parsed, MakeEnv());
      const stage::Parsed::Eights& eights = parsed.eights;
      size_t begin = 0;
      size_t kind = 0;
      for (const stage::Places places : {eights.tcp_v4, eights.udp_v4, eights.tcp_v6, eights.udp_v6}) {
        const size_t whole = counts[kind] / stage::kEight * stage::kEight;
        EXPECT_EQ(places, stage::AllPlaces(begin + whole) & ~stage::AllPlaces(begin))
            << "kind " << kind << " of " << first_kind << " and " << second_kind << ", alone " << alone;
        begin += counts[kind++];
      }
      for (rte_mbuf* mbuf : mbufs) rte_pktmbuf_free(mbuf);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, GroupedBurstsTest, testing::Values(1u));

}  // namespace
}  // namespace sluice::test
