#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/net/address.h"
#include "tests/unit/tools/backend/program_fixture.h"

namespace sluice::backend::test {
namespace {

constexpr const char* kPeer4 = "192.0.2.12";
constexpr const char* kPeer6 = "2001:db8::12";
constexpr size_t kEther = 14;

Bytes AddressBytes(const std::string& text) {
  const net::IpAddress address = *net::IpAddress::Parse(text);
  return {address.data(), address.data() + address.size()};
}

// GUE around `inner` that names `backend`, with a UDP checksum as over IPv6.
Bytes Naming(const std::string& source, const std::string& destination, const std::string& backend, const Bytes& inner,
             uint8_t state = 0, uint8_t version = 1) {
  const Bytes address = AddressBytes(backend);
  const auto words = static_cast<uint8_t>(1 + address.size() / 4);
  const uint8_t protocol = inner[0] >> 4 == 4 ? 4 : 41;
  const Bytes gue = Bytes{words, protocol, 0, 0, version, state, 0, 0} + address + inner;
  Bytes packet = Ip(source, destination, 17, Udp(6080, gue));
  if (AddressBytes(source).size() == 16) SetUdpChecksum(&packet);
  return packet;
}

Bytes Segment(bool v6, uint8_t flags, uint16_t port = 80) {
  const Bytes tcp = Tcp(flags, {}, 40000, port);
  Bytes packet = v6 ? Ip(kClient6, kVip6, 6, tcp) : Ip(kClient4, kVip4, 6, tcp);
  SetTcpChecksum(&packet);
  return packet;
}

class SecondChanceTest : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    Fill({.directors = {*net::IpPrefix::Parse(kDirector4)},
          .peers = {*net::IpPrefix::Parse("192.0.2.8/29"), *net::IpPrefix::Parse("2001:db8::10/124")}});
  }
  static Bytes Named(bool outer_v6, const Bytes& inner) {
    return outer_v6 ? Naming(kDirector6, kOwn6, kPeer6, inner) : Naming(kDirector4, kOwn4, kPeer4, inner);
  }
  void ExpectKept(const Bytes& packet, const Bytes& inner) {
    const Outcome outcome = Ingress(Frame(packet));
    EXPECT_EQ(outcome.verdict, TC_ACT_UNSPEC) << AllCounted();
    EXPECT_EQ(outcome.frame, Frame(inner));
  }
  void ExpectDropped(const Bytes& packet, Counter reason) {
    const uint64_t before = Counted(reason);
    EXPECT_EQ(Ingress(Frame(packet)).verdict, TC_ACT_SHOT);
    EXPECT_EQ(Counted(reason), before + 1) << AllCounted();
  }
};

TEST_F(SecondChanceTest, WhatHasNoSocketHereGoesOnOnce) {
  for (const bool outer_v6 : {false, true}) {
    for (const bool inner_v6 : {false, true}) {
      const Bytes inner = Segment(inner_v6, kAck);
      const Outcome outcome = Ingress(Frame(Named(outer_v6, inner)));
      EXPECT_EQ(outcome.verdict, TC_ACT_REDIRECT) << AllCounted();
      const Bytes packet(outcome.frame.begin() + kEther, outcome.frame.end());
      const Bytes expected =
          outer_v6 ? Naming(kOwn6, kPeer6, kPeer6, inner, 1) : Naming(kOwn4, kPeer4, kPeer4, inner, 1);
      EXPECT_EQ(packet, expected);
      EXPECT_TRUE(outer_v6 ? UdpChecksumIsRight(packet) : Ipv4ChecksumIsRight(packet));
      // There it is taken out whatever that host knows of it, and never goes on.
      ExpectKept(outer_v6 ? Naming(kPeer6, kOwn6, kOwn6, inner, 1) : Naming(kPeer4, kOwn4, kOwn4, inner, 1), inner);
    }
  }
  EXPECT_EQ(Counted(kSecondChanceGiven), 4u);
  EXPECT_EQ(Counted(kSecondChanceTaken), 4u);
}

TEST_F(SecondChanceTest, ASynIsForThisHost) {
  for (const uint8_t flags : {kSyn, kSynAck}) {
    ExpectKept(Named(false, Segment(false, flags)), Segment(false, flags));
    ExpectKept(Named(true, Segment(true, flags)), Segment(true, flags));
  }
  EXPECT_EQ(Counted(kSecondChanceGiven), 0u);
}

TEST_F(SecondChanceTest, AListenerAloneDoesNotMakeAConnection) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = net::IpAddress::Parse(kVip4)->v4().raw();
  socklen_t size = sizeof(address);
  ASSERT_EQ(setsockopt(listener, IPPROTO_IP, IP_FREEBIND, &yes, sizeof(yes)), 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 5), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const uint16_t port = ntohs(address.sin_port);
  EXPECT_EQ(Ingress(Frame(Named(false, Segment(false, kAck, port)))).verdict, TC_ACT_REDIRECT);
  ExpectKept(Named(false, Segment(false, kSyn, port)), Segment(false, kSyn, port));
  close(listener);
}

TEST_F(SecondChanceTest, OnlyPeersGetAnything) {
  const Bytes inner = Segment(false, kAck);
  ExpectKept(Naming(kDirector4, kOwn4, "192.0.2.99", inner), inner);
  ExpectKept(Naming(kDirector4, kOwn4, "198.51.100.1", inner), inner);
  ExpectKept(Naming(kDirector4, kOwn4, kOwn4, inner), inner);
  EXPECT_EQ(Counted(kSecondChanceRefused), 3u);
  EXPECT_EQ(Counted(kSecondChanceGiven), 0u);
}

TEST_F(SecondChanceTest, OnlyDirectorsNameAndOnlyPeersSendOn) {
  const Bytes inner = Segment(false, kAck);
  ExpectDropped(Naming(kPeer4, kOwn4, kPeer4, inner), kDropForeignSource);
  ExpectDropped(Tunnel(kTunnelGue, kPeer4, kOwn4, inner), kDropForeignSource);
  ExpectDropped(Tunnel(kTunnelIpip, kPeer4, kOwn4, inner), kDropForeignSource);
  ExpectDropped(Naming(kDirector4, kOwn4, kPeer4, inner, 1), kDropForeignSource);
  ExpectDropped(Naming("192.0.2.99", kOwn4, kPeer4, inner, 1), kDropForeignSource);
}

TEST_F(SecondChanceTest, WhatIsNotForAVipGoesNowhere) {
  Bytes packet = Ip(kClient4, "203.0.113.11", 6, Tcp(kAck, {}, 40000, 80));
  ExpectDropped(Naming(kDirector4, kOwn4, kPeer4, packet), kDropNotAVip);
  // No segment that could be looked for.
  const Bytes datagram = Ip(kClient4, kVip4, 17, Udp(53, {}));
  ExpectKept(Named(false, datagram), datagram);
  const Bytes piece = Ip(kClient4, kVip4, 6, Tcp(kAck, {}), {.fragment = 0x2000});
  ExpectKept(Named(false, piece), piece);
}

TEST_F(SecondChanceTest, WithoutPeersEverythingIsForThisHost) {
  Fill({});
  ExpectKept(Named(false, Segment(false, kAck)), Segment(false, kAck));
  ExpectKept(Named(true, Segment(true, kAck)), Segment(true, kAck));
  ExpectDropped(Naming(kPeer4, kOwn4, kOwn4, Segment(false, kAck), 1), kDropForeignSource);
}

TEST_F(SecondChanceTest, OtherPrivateDataIsNotUnderstood) {
  const Bytes inner = Segment(false, kAck);
  ExpectDropped(Naming(kDirector4, kOwn4, kPeer4, inner, 0, 2), kDropUnsupported);
  ExpectDropped(Naming(kDirector4, kOwn4, kPeer4, inner, 2), kDropUnsupported);
  // An address of the other family.
  ExpectDropped(Naming(kDirector4, kOwn4, kPeer6, inner), kDropUnsupported);
  Bytes control = Naming(kDirector4, kOwn4, kPeer4, inner);
  control[28] |= 0x20;
  ExpectDropped(control, kDropUnsupported);
  Bytes longer = Naming(kDirector4, kOwn4, kPeer4, inner);
  longer[28] = 3;
  ExpectDropped(longer, kDropUnsupported);
  // Too short for what it claims.
  ExpectDropped(Ip(kDirector4, kOwn4, 17, Udp(6080, Bytes{2, 4, 0, 0, 1, 0, 0, 0, 192, 0, 2})), kDropOuterLength);
}

TEST_F(SecondChanceTest, TheMssLeavesRoomForTheName) {
  ExpectKept(Tunnel(kTunnelGue, kDirector4, kOwn4, Segment(false, kSyn)), Segment(false, kSyn));
  Bytes answer = Ip(kVip4, kClient4, 6, Tcp(kSynAck, {2, 4, 5, 180}));
  SetTcpChecksum(&answer);
  const Bytes out = Egress(Frame(answer)).frame;
  // 1500 less 20 + 8 + 4 + 8 outside and 40 inside.
  EXPECT_EQ(out[out.size() - 2] << 8 | out[out.size() - 1], 1500 - 40 - 40);
}

}  // namespace
}  // namespace sluice::backend::test
