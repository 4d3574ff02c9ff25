#include <gmock/gmock.h>
#include <rte_mbuf.h>

#include <cstring>

#include "dataplane/net/headers.h"
#include "tests/stage/allocation_guard.h"
#include "tests/stage/pipeline_fixture.h"

namespace sluice::test {
namespace {

using stage::kBurstSize;
using ForwardingTest = PipelineTest;

constexpr uint8_t kBackendMacV4 = 11;
constexpr uint8_t kBackendMacV6 = 0x16;

// The frame with the MAC addresses that StateFixture gives a backend whose address ends with `last`.
Bytes WithMacs(Bytes frame, uint8_t last) {
  const Bytes macs = {2, 0, 0, 0, 1, last, 2, 0, 0, 0, 0, 1};
  std::copy(macs.begin(), macs.end(), frame.begin());
  return frame;
}

TEST_F(ForwardingTest, L2ChangesOnlyTheMacAddresses) {
  const Bytes v4 = FrameBuilder{.tos = 0xb9, .payload = 100}.Build();
  FrameBuilder v6_builder = V6();
  v6_builder.payload = 9;
  const Bytes v6 = v6_builder.Build();
  const Bytes udp = FrameBuilder{.protocol = 17, .destination_port = 53, .payload = 5}.Build();
  Run({v4, v6, udp});
  ASSERT_EQ(sent().size(), 3u);
  EXPECT_EQ(sent()[0].frame, WithMacs(v4, kBackendMacV4));
  EXPECT_EQ(sent()[1].frame, WithMacs(v6, kBackendMacV6));
  EXPECT_EQ(sent()[2].frame, WithMacs(udp, kBackendMacV4));
  EXPECT_EQ(sent()[0].port, PortId(0));
}

TEST_F(ForwardingTest, VlanTagsPaddingAndSegmentsPassThroughL2) {
  const Bytes tagged = FrameBuilder{.padding = 6, .vlan_tags = 2}.Build();
  const Bytes jumbo = FrameBuilder{.payload = 1400}.Build();
  RunMbufs({MakeMbuf(tagged), MakeMbuf(jumbo, 200)});
  ASSERT_EQ(sent().size(), 2u);
  EXPECT_EQ(sent()[0].frame, WithMacs(tagged, kBackendMacV4));
  EXPECT_EQ(sent()[1].frame, WithMacs(jumbo, kBackendMacV4));
}

TEST_F(ForwardingTest, Ipip4LeavesTheChecksumToTheDeviceThatCan) {
  node_.ports[0].tx_ipv4_checksum = true;
  Run({FrameBuilder{.destination_port = 8080, .vlan_tags = 1}.Build()});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].tx_flags & (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM),
            RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
  EXPECT_EQ(sent()[0].frame[18 + 10], 0);
  EXPECT_EQ(sent()[0].frame[18 + 11], 0);
}

TEST_F(ForwardingTest, Ipip6LabelsTheFlow) {
  FrameBuilder builder = V6();
  builder.destination_port = 8080;
  const Bytes frame = builder.Build();
  builder.source_port = 40001;
  Run({frame, builder.Build()});
  ASSERT_EQ(sent().size(), 2u);
  net::Ipv6Header ip;
  std::memcpy(&ip, sent()[0].frame.data() + 14, sizeof(ip));
  net::Ipv6Header other;
  std::memcpy(&other, sent()[1].frame.data() + 14, sizeof(other));
  EXPECT_NE(ip.version_class_flow.Host() & 0xfffff, other.version_class_flow.Host() & 0xfffff);
}

TEST_F(ForwardingTest, RecordsAndCountersSayWhatHappened) {
  Run({FrameBuilder{.payload = 100}.Build(), FrameBuilder{.tcp_flags = 0x10}.Build()});
  EXPECT_EQ(record(0).rung, fwd::Rung::kScheduler);
  EXPECT_EQ(record(1).rung, fwd::Rung::kConnectionTable);
  EXPECT_EQ(record(0).backend, backend_v4_);
  EXPECT_EQ(record(0).fate, Fate::kForwarded);
  EXPECT_EQ(counters_.vips[0].requests.packets.Value(), 2u);
  EXPECT_EQ(counters_.vips[0].requests.bytes.Value(), 140u + 40u);
  EXPECT_EQ(counters_.backends[backend_v4_.index()].requests.packets.Value(), 2u);
  EXPECT_EQ(counters_.backends[backend_v4_.index()].requests.bytes.Value(), 180u);
  EXPECT_EQ(counters_.ports[0].rx_packets.Value(), 2u);
  EXPECT_EQ(counters_.ports[0].rx_bytes.Value(), 154u + 54u);
}

TEST_F(ForwardingTest, AFullBurstKeepsItsOrder) {
  std::vector<Bytes> frames;
  for (uint16_t i = 0; i < kBurstSize; ++i) {
    frames.push_back(FrameBuilder{.source_port = static_cast<uint16_t>(1000 + i),
                                  .destination_port = static_cast<uint16_t>(i % 3 == 0 ? 8080 : 80)}
                         .Build());
  }
  Run(frames);
  ASSERT_EQ(sent().size(), kBurstSize);
  for (size_t i = 0; i < kBurstSize; ++i) {
    const size_t l4 = i % 3 == 0 ? 54 : 34;
    EXPECT_EQ(sent()[i].frame[l4 + 1], static_cast<uint8_t>(1000 + i));
  }
}

TEST_F(ForwardingTest, PacketsLeaveByTheBackendsPort) {
  fixture_.hop().port = PortId(3);
  Rebuild();
  Run({FrameBuilder().Build()});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].port, PortId(3));
}

TEST(AllocationGuardDeathTest, CatchesAnAllocation) {
  EXPECT_DEATH(
      {
        const AllocationGuard guard;
        // Called by its name: a compiler may leave out the allocation of a new expression.
        ::operator delete(::operator new(100));
      },
      "an allocation where none is allowed");
}

}  // namespace
}  // namespace sluice::test
