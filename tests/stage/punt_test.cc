#include <algorithm>

#include "tests/stage/pipeline_fixture.h"

namespace sluice::test {
namespace {

using stage::PuntClass;
using PuntTest = PipelineTest;

Bytes Raw(uint16_t ether_type, uint8_t first_mac_byte = 0xff) {
  Bytes frame(60, 0);
  frame[0] = first_mac_byte;
  if (first_mac_byte == 2) frame[5] = 1;
  frame[12] = static_cast<uint8_t>(ether_type >> 8);
  frame[13] = static_cast<uint8_t>(ether_type);
  return frame;
}

FrameBuilder ToHost(uint8_t protocol, uint16_t port) {
  return {.destination = "192.0.2.2", .protocol = protocol, .destination_port = port, .payload = 20};
}

class PuntClassTest : public PuntTest {
 protected:
  void Expect(const Bytes& frame, PuntClass punt_class) {
    Run({frame});
    ASSERT_EQ(punted().size(), 1u);
    EXPECT_EQ(punted()[0].frame, frame);
    EXPECT_EQ(punted()[0].punt_class, punt_class);
    EXPECT_EQ(punted()[0].port, PortId(0));
  }
};

TEST_F(PuntClassTest, ControlIsOnTheLinkRoutingMayComeFromAfar) {
  Expect(Raw(0x0806), PuntClass::kControl);
  Expect(Raw(0x0806, 2), PuntClass::kControl);
  Expect(Raw(0x88cc, 1), PuntClass::kControl);
  FrameBuilder bgp_reply = ToHost(6, 50000);
  bgp_reply.source_port = 179;
  std::vector<FrameBuilder> packets = {ToHost(6, 179), bgp_reply, ToHost(89, 0), ToHost(112, 0)};
  for (const uint16_t port : std::initializer_list<uint16_t>{3784, 3785, 4784}) packets.push_back(ToHost(17, port));
  for (FrameBuilder& packet : packets) {
    packet.hop_limit = 255;
    Expect(packet.Build(), PuntClass::kControl);
    packet.hop_limit = 254;
    Expect(packet.Build(), PuntClass::kRouting);
  }
}

TEST_F(PuntClassTest, NeighbourDiscoveryOnlyFromTheLink) {
  FrameBuilder nd{.source = "2001:db8::9", .destination = "ff02::1:ff00:2", .protocol = 58, .hop_limit = 255};
  nd.source_port = 135 << 8;  // the ICMPv6 type
  nd.destination_mac_first = 0x33;
  Expect(nd.Build(), PuntClass::kControl);
  nd.hop_limit = 254;
  Expect(nd.Build(), PuntClass::kIcmp);
  nd.hop_limit = 255;
  nd.source_port = 128 << 8;
  Expect(nd.Build(), PuntClass::kIcmp);
}

TEST_F(PuntClassTest, ManagementIcmpAndTheRest) {
  Expect(ToHost(6, 22).Build(), PuntClass::kManagement);
  Expect(ToHost(17, 22).Build(), PuntClass::kManagement);
  Expect(ToHost(1, 0).Build(), PuntClass::kIcmp);
  Expect(ToHost(6, 23).Build(), PuntClass::kOther);
  Expect(ToHost(47, 0).Build(), PuntClass::kOther);
  Expect(Raw(0x8847, 2), PuntClass::kOther);
}

TEST_F(PuntClassTest, FragmentsAndBrokenL4OfTheHostAreTheHostsBusiness) {
  FrameBuilder fragment = ToHost(17, 53);
  fragment.fragment = 0x2000;
  Expect(fragment.Build(), PuntClass::kOther);
  Bytes broken = ToHost(6, 22).Build();
  broken[46] = 0x20;  // TCP data offset of 8 bytes
  Expect(broken, PuntClass::kOther);
}

TEST_F(PuntTest, AVipInAMulticastFrameIsNotForwarded) {
  Run({FrameBuilder{.destination_mac_first = 3}.Build()});
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(punted().size(), 1u);
}

TEST_F(PuntTest, WithoutAnExceptionPortItIsDropped) {
  node_.ports[0].has_exception_port = false;
  ExpectDrop(Raw(0x0806), DropReason::kPuntNoHost);
}

TEST_F(PuntTest, MixedBurstsAreSortedOut) {
  Run({FrameBuilder().Build(), Raw(0x0806), FrameBuilder{.bad_checksum = true}.Build(), FrameBuilder().Build()});
  EXPECT_EQ(sent().size(), 2u);
  EXPECT_EQ(punted().size(), 1u);
  EXPECT_EQ(Dropped(DropReason::kBadIpChecksum), 1u);
}

}  // namespace
}  // namespace sluice::test
