#include <linux/pkt_cls.h>

#include "tests/unit/tools/backend/program_fixture.h"

namespace sluice::backend::test {
namespace {

Bytes MssOption(uint16_t mss) { return {2, 4, static_cast<uint8_t>(mss >> 8), static_cast<uint8_t>(mss)}; }

class ClampMssTest : public ProgramTest {
 protected:
  // A tunnel packet for each VIP, after which the program knows what its tunnel takes.
  void Learn(TunnelKind kind) {
    const auto arrive = [&](const Bytes& inner, const char* director, const char* own) {
      ASSERT_EQ(Ingress(Frame(Tunnel(kind, director, own, inner))).verdict, TC_ACT_UNSPEC);
    };
    arrive(Ip(kClient4, kVip4, 6, Tcp(kSyn, {})), kDirector4, kOwn4);
    arrive(Ip(kClient6, kVip6, 6, Tcp(kSyn, {})), kDirector6, kOwn6);
  }
  static Bytes Packet(bool v6, uint8_t flags, const Bytes& options, const IpOptions& ip = {}) {
    Bytes packet =
        v6 ? Ip(kVip6, kClient6, 6, Tcp(flags, options), ip) : Ip(kVip4, kClient4, 6, Tcp(flags, options), ip);
    SetTcpChecksum(&packet);
    return packet;
  }
  Bytes Send(const Bytes& packet) {
    const Outcome outcome = Egress(Frame(packet));
    EXPECT_EQ(outcome.verdict, TC_ACT_UNSPEC);
    return Bytes(outcome.frame.begin() + 14, outcome.frame.end());
  }
  void ExpectUntouched(const Bytes& packet) { EXPECT_EQ(Send(packet), packet); }
};

TEST_F(ClampMssTest, FitsTheTunnelOfTheVip) {
  struct Case {
    TunnelKind kind;
    uint16_t mss4;  // 1500 - 20 and what the shim takes - 20 - 20
    uint16_t mss6;  // 1500 - 40 and what the shim takes - 40 - 20
  };
  // In the order of what they take: a VIP's largest tunnel counts.
  for (const Case& c : {Case{kTunnelIpip, 1440, 1400}, Case{kTunnelGre, 1436, 1396}, Case{kTunnelGueDirect, 1432, 1392},
                        Case{kTunnelGue, 1428, 1388}, Case{kTunnelIpip, 1428, 1388}}) {
    Learn(c.kind);
    EXPECT_EQ(Send(Packet(false, kSynAck, MssOption(1460))), Packet(false, kSynAck, MssOption(c.mss4)));
    EXPECT_EQ(Send(Packet(true, kSynAck, MssOption(1440))), Packet(true, kSynAck, MssOption(c.mss6)));
  }
  EXPECT_EQ(Counted(kSynAcksClamped), 10u);
}

TEST_F(ClampMssTest, AmongOtherOptionsAndAtOddOffsets) {
  Learn(kTunnelIpip);
  const Bytes timestamps = {8, 10, 1, 2, 3, 4, 5, 6, 7, 8};
  for (const Bytes& before : {Bytes{}, Bytes{1}, Bytes{1, 1}, Bytes{4, 2}, Bytes{3, 3, 7}, timestamps, Bytes(36, 1)}) {
    Bytes behind;
    while ((before.size() + 4 + behind.size()) % 4 != 0) behind.push_back(1);
    for (const bool v6 : {false, true}) {
      const uint16_t expected = v6 ? 1400 : 1440;
      const Bytes sent = Send(Packet(v6, kSynAck, before + MssOption(9000) + behind));
      EXPECT_EQ(sent, Packet(v6, kSynAck, before + MssOption(expected) + behind)) << "behind " << before.size();
      EXPECT_TRUE(TcpChecksumIsRight(sent));
    }
  }
}

TEST_F(ClampMssTest, BehindIpv4Options) {
  Learn(kTunnelIpip);
  const IpOptions options = {.options = {1, 1, 1, 1}};
  EXPECT_EQ(Send(Packet(false, kSynAck, MssOption(1460), options)), Packet(false, kSynAck, MssOption(1440), options));
}

TEST_F(ClampMssTest, WhatIsLeftAlone) {
  // Nothing is known of the tunnel yet.
  ExpectUntouched(Packet(false, kSynAck, MssOption(1460)));
  Learn(kTunnelIpip);
  ExpectUntouched(Packet(false, kSynAck, MssOption(1440)));
  ExpectUntouched(Packet(false, kSynAck, MssOption(536)));
  ExpectUntouched(Packet(false, kSyn, MssOption(1460)));
  ExpectUntouched(Packet(false, kAck, MssOption(1460)));
  ExpectUntouched(Packet(false, kSynAck, {}));
  ExpectUntouched(Ip(kOwn4, kClient4, 6, Tcp(kSynAck, MssOption(1460))));
  ExpectUntouched(Ip(kVip4, kClient4, 17, Tcp(kSynAck, MssOption(1460))));
  ExpectUntouched(Packet(false, kSynAck, MssOption(1460), {.fragment = 0x0001}));
}

TEST_F(ClampMssTest, OptionsThatLie) {
  Learn(kTunnelIpip);
  ExpectUntouched(Packet(false, kSynAck, {0, 2, 4, 0x23}));     // behind the end
  ExpectUntouched(Packet(false, kSynAck, {2, 3, 0x23, 0x23}));  // not its length
  ExpectUntouched(Packet(false, kSynAck, {8, 0, 2, 4}));        // a length that goes nowhere
  ExpectUntouched(Packet(false, kSynAck, {8, 255, 2, 4}));      // one that goes out
  ExpectUntouched(Packet(false, kSynAck, {1, 1, 2, 4}));        // cut short
  Bytes cut = Packet(false, kSynAck, MssOption(1460));
  cut[20 + 12] = 0xf0;  // more options than bytes
  ExpectUntouched(cut);
}

TEST_F(ClampMssTest, SwitchedOffAndSmallLinks) {
  Learn(kTunnelIpip);
  Fill({}, 0);
  ExpectUntouched(Packet(false, kSynAck, MssOption(1460)));
  // No clamp goes below what every host takes.
  Fill({}, 576);
  EXPECT_EQ(Send(Packet(false, kSynAck, MssOption(1460))), Packet(false, kSynAck, MssOption(536)));
}

TEST_F(ClampMssTest, WhatWasLearntStaysWhenTheMapsAreFilledAgain) {
  Learn(kTunnelGue);
  Fill({});
  EXPECT_EQ(Send(Packet(false, kSynAck, MssOption(1460))), Packet(false, kSynAck, MssOption(1428)));
}

}  // namespace
}  // namespace sluice::backend::test
