#include <linux/pkt_cls.h>

#include "tests/unit/tools/backend/program_fixture.h"

namespace sluice::backend::test {
namespace {

constexpr TunnelKind kKinds[] = {kTunnelIpip, kTunnelGue, kTunnelGueDirect, kTunnelGre};
const Bytes kPayload = {'h', 'e', 'l', 'l', 'o'};

Bytes Inner(bool v6, uint8_t tos = 0) {
  const IpOptions options = {.tos = tos};
  return v6 ? Ip(kClient6, kVip6, 17, Udp(53, kPayload), options) : Ip(kClient4, kVip4, 17, Udp(53, kPayload), options);
}

Bytes Outer(TunnelKind kind, bool v6, const Bytes& inner, const IpOptions& options = {}) {
  return v6 ? Tunnel(kind, kDirector6, kOwn6, inner, options) : Tunnel(kind, kDirector4, kOwn4, inner, options);
}

class DecapsulateTest : public ProgramTest {
 protected:
  void ExpectUntouched(const Bytes& packet) {
    const Outcome outcome = Ingress(Frame(packet));
    EXPECT_EQ(outcome.verdict, TC_ACT_UNSPEC);
    EXPECT_EQ(outcome.frame, Frame(packet));
    EXPECT_EQ(AllCounted(), "");
  }
  // The packet is dropped, for this reason and no other.
  void ExpectDropped(const Bytes& packet, Counter reason) {
    const uint64_t before = Counted(reason);
    EXPECT_EQ(Ingress(Frame(packet)).verdict, TC_ACT_SHOT);
    EXPECT_EQ(Counted(reason), before + 1) << AllCounted();
  }
};

TEST_F(DecapsulateTest, EveryKindInEveryMixOfFamilies) {
  for (const TunnelKind kind : kKinds) {
    for (const bool outer_v6 : {false, true}) {
      for (const bool inner_v6 : {false, true}) {
        SCOPED_TRACE(std::string(TunnelName(kind)) + (outer_v6 ? " v6" : " v4") + (inner_v6 ? " v6" : " v4"));
        const Bytes inner = Inner(inner_v6);
        const auto packets = static_cast<Counter>(kIpipPackets + 2 * kind);
        const auto bytes = static_cast<Counter>(kIpipBytes + 2 * kind);
        const uint64_t packets_before = Counted(packets);
        const uint64_t bytes_before = Counted(bytes);
        const Outcome outcome = Ingress(Frame(Outer(kind, outer_v6, inner)));
        EXPECT_EQ(outcome.verdict, TC_ACT_UNSPEC);
        EXPECT_EQ(outcome.frame, Frame(inner));
        EXPECT_EQ(Counted(packets), packets_before + 1);
        EXPECT_EQ(Counted(bytes), bytes_before + inner.size());
      }
    }
  }
}

TEST_F(DecapsulateTest, OnOldKernelsTheOtherFamilyEntersAgain) {
  Fill({.family_change = FamilyChangeOption::kRedirect});
  for (const bool outer_v6 : {false, true}) {
    for (const bool inner_v6 : {false, true}) {
      // Long enough to be an IPv6 packet, for which such kernels still take it.
      const Bytes inner = inner_v6 ? Inner(true) : Ip(kClient4, kVip4, 17, Udp(53, Bytes(40)));
      const Outcome outcome = Ingress(Frame(Outer(kTunnelGue, outer_v6, inner)));
      EXPECT_EQ(outcome.verdict, outer_v6 == inner_v6 ? TC_ACT_UNSPEC : TC_ACT_REDIRECT);
      EXPECT_EQ(outcome.frame, Frame(inner));
    }
  }
}

TEST_F(DecapsulateTest, OuterIpv4OptionsAndEthernetPaddingComeOff) {
  const Bytes inner = Ip(kClient4, kVip4, 17, Udp(53, {}));
  const Bytes packet = Outer(kTunnelIpip, false, inner, {.options = {1, 1, 1, 1}});
  EXPECT_EQ(Ingress(Frame(packet)).frame, Frame(inner));
  // Bytes behind the outer packet are none of its own; the stack cuts them by the inner length.
  EXPECT_EQ(Ingress(Frame(packet) + Bytes(6)).frame, Frame(inner) + Bytes(6));
}

TEST_F(DecapsulateTest, WhatIsNoTunnelIsLeftAlone) {
  ExpectUntouched(Inner(false));
  ExpectUntouched(Inner(true));
  ExpectUntouched(Ip(kDirector4, kOwn4, 6, Tcp(2, {})));
  // Another port, and other protocols.
  ExpectUntouched(Ip(kDirector4, kOwn4, 17, Shim(kTunnelGue, Inner(false), 6081)));
  ExpectUntouched(Ip(kDirector4, kOwn4, 50, Inner(false)));
  ExpectUntouched(Ip(kDirector6, kOwn6, 58, Bytes(16)));
  // UDP too short to tell its variant; a fragment whose ports may be elsewhere.
  ExpectUntouched(Ip(kDirector4, kOwn4, 17, Udp(6080, {})));
  ExpectUntouched(Ip(kDirector4, kOwn4, 17, Shim(kTunnelGue, Inner(false)), {.fragment = 0x2000}));
}

TEST_F(DecapsulateTest, TunnelsToOthersAreLeftAlone) {
  for (const TunnelKind kind : kKinds) {
    ExpectUntouched(Tunnel(kind, kDirector4, "192.0.2.12", Inner(false)));
    ExpectUntouched(Tunnel(kind, kDirector6, "2001:db8::12", Inner(false)));
    // A VIP is no address where tunnels end.
    ExpectUntouched(Tunnel(kind, kDirector4, kVip4, Inner(false)));
  }
}

TEST_F(DecapsulateTest, OnlyConfiguredKinds) {
  Fill({.tunnels = {kTunnelGueDirect}, .gue_port = 7000});
  ExpectUntouched(Outer(kTunnelIpip, false, Inner(false)));
  ExpectUntouched(Outer(kTunnelGre, true, Inner(false)));
  ExpectUntouched(Outer(kTunnelGueDirect, false, Inner(false)));  // port 6080
  ExpectUntouched(Ip(kDirector4, kOwn4, 17, Shim(kTunnelGue, Inner(false), 7000)));
  const Outcome outcome = Ingress(Frame(Ip(kDirector4, kOwn4, 17, Shim(kTunnelGueDirect, Inner(false), 7000))));
  EXPECT_EQ(outcome.frame, Frame(Inner(false)));
}

TEST_F(DecapsulateTest, TunnelsFromOthersAreDropped) {
  for (const TunnelKind kind : kKinds) {
    ExpectDropped(Tunnel(kind, "192.0.2.8", kOwn4, Inner(false)), kDropForeignSource);
    ExpectDropped(Tunnel(kind, "2001:db8::8", kOwn6, Inner(true)), kDropForeignSource);
  }
}

TEST_F(DecapsulateTest, PacketsForOthersAreDropped) {
  for (const TunnelKind kind : kKinds) {
    ExpectDropped(Outer(kind, false, Ip(kClient4, "203.0.113.11", 17, Udp(53, kPayload))), kDropNotAVip);
    ExpectDropped(Outer(kind, false, Ip(kClient4, kOwn4, 17, Udp(22, kPayload))), kDropNotAVip);
    ExpectDropped(Outer(kind, true, Ip(kClient6, "2001:db8:e::10", 17, Udp(53, kPayload))), kDropNotAVip);
    // Not the VIP of the other family in its clothes.
    ExpectDropped(Outer(kind, true, Ip(kClient6, "::203.0.113.10", 17, Udp(53, kPayload))), kDropNotAVip);
  }
}

TEST_F(DecapsulateTest, TunnelsInTunnelsAreDropped) {
  for (const TunnelKind kind : kKinds) {
    const Bytes second = Tunnel(kTunnelIpip, kClient4, kVip4, Inner(false));
    ExpectDropped(Outer(kind, false, second), kDropNested);
    ExpectDropped(Outer(kind, false, Tunnel(kTunnelGre, kClient4, kVip4, Inner(true))), kDropNested);
    ExpectDropped(Outer(kind, true, Tunnel(kTunnelIpip, kClient6, kVip6, Inner(true))), kDropNested);
    // GUE to this host within the tunnel ends at no VIP.
    ExpectDropped(Outer(kind, false, Tunnel(kTunnelGue, kClient4, kOwn4, Inner(false))), kDropNotAVip);
  }
}

TEST_F(DecapsulateTest, LengthsThatLie) {
  for (const TunnelKind kind : kKinds) {
    for (const bool v6 : {false, true}) {
      SCOPED_TRACE(std::string(TunnelName(kind)) + (v6 ? " v6" : " v4"));
      ExpectDropped(Outer(kind, v6, Inner(v6), {.claimed_more = 1}), kDropOuterLength);
      const std::string client = v6 ? kClient6 : kClient4;
      const std::string vip = v6 ? kVip6 : kVip4;
      const Bytes longer = Ip(client, vip, 17, Udp(53, kPayload), {.claimed_more = 1});
      ExpectDropped(Outer(kind, v6, longer), kDropInnerLength);
      // The bytes are there, but behind the outer packet.
      Bytes cut = Outer(kind, v6, Inner(v6));
      cut[v6 ? 5 : 3] = static_cast<uint8_t>(cut[v6 ? 5 : 3] - 1);
      const bool udp = kind == kTunnelGue || kind == kTunnelGueDirect;
      ExpectDropped(cut, udp ? kDropOuterLength : kDropInnerLength);
    }
  }
  ExpectDropped(Ip(kDirector4, kOwn4, 17, Udp(6080, Bytes{0, 4, 0, 0} + Inner(false), 1)), kDropOuterLength);
  ExpectDropped(Ip(kDirector4, kOwn4, 17, Udp(6080, Bytes{0, 4, 0, 0} + Inner(false), -1)), kDropOuterLength);
  ExpectDropped(Ip(kDirector4, kOwn4, 47, {0, 0, 8}), kDropOuterLength);
  ExpectDropped(Ip(kDirector4, kOwn4, 17, Udp(6080, {0, 4, 0})), kDropOuterLength);
}

TEST_F(DecapsulateTest, WhatIsInsideIsNoPacketOfItsVersion) {
  ExpectDropped(Ip(kDirector4, kOwn4, 41, Inner(false)), kDropInnerHeader);
  ExpectDropped(Ip(kDirector4, kOwn4, 4, Inner(true)), kDropInnerHeader);
  ExpectDropped(Ip(kDirector4, kOwn4, 4, {}), kDropInnerHeader);
  ExpectDropped(Ip(kDirector4, kOwn4, 4, Bytes(19, 0x45)), kDropInnerHeader);
  ExpectDropped(Ip(kDirector6, kOwn6, 41, Bytes(39, 0x60)), kDropInnerHeader);
  Bytes short_header = Inner(false);
  short_header[0] = 0x44;
  ExpectDropped(Outer(kTunnelIpip, false, short_header), kDropInnerHeader);
  Bytes too_short = Inner(false);
  too_short[2] = 0;
  too_short[3] = 19;
  ExpectDropped(Outer(kTunnelGre, false, too_short), kDropInnerHeader);
  ExpectDropped(Ip(kDirector4, kOwn4, 17, Udp(6080, {0x50, 0, 0, 0, 0})), kDropInnerHeader);
}

TEST_F(DecapsulateTest, UnsupportedShims) {
  const Bytes inner = Inner(false);
  const auto gue = [&](const Bytes& header) { return Ip(kDirector4, kOwn4, 17, Udp(6080, header + inner)); };
  ExpectDropped(gue({0x20, 4, 0, 0}), kDropUnsupported);  // a control message
  ExpectDropped(gue({0x01, 4, 0, 0}), kDropUnsupported);  // private data
  ExpectDropped(gue({0x00, 4, 0, 1}), kDropUnsupported);  // flags
  ExpectDropped(gue({0x00, 6, 0, 0}), kDropUnsupported);  // another payload
  const auto gre = [&](const Bytes& header) { return Ip(kDirector4, kOwn4, 47, header + inner); };
  ExpectDropped(gre({0x80, 0, 8, 0}), kDropUnsupported);     // a checksum
  ExpectDropped(gre({0x20, 0, 8, 0}), kDropUnsupported);     // a key
  ExpectDropped(gre({0, 1, 8, 0}), kDropUnsupported);        // PPTP's version
  ExpectDropped(gre({0, 0, 0x65, 0x58}), kDropUnsupported);  // Ethernet
}

TEST_F(DecapsulateTest, FragmentsOfTunnelsAreDropped) {
  for (const uint16_t fragment : {uint16_t{0x2000}, uint16_t{0x0001}}) {
    ExpectDropped(Outer(kTunnelIpip, false, Inner(false), {.fragment = fragment}), kDropOuterFragment);
    ExpectDropped(Outer(kTunnelGre, false, Inner(false), {.fragment = fragment}), kDropOuterFragment);
  }
}

// RFC 6040, figure 4: what the two fields become one.
TEST_F(DecapsulateTest, CongestionIsCarriedIntoTheInnerHeader) {
  for (const bool v6 : {false, true}) {
    for (uint8_t inner_ecn = 0; inner_ecn < 4; ++inner_ecn) {
      for (uint8_t outer_ecn = 0; outer_ecn < 4; ++outer_ecn) {
        const auto inner_tos = static_cast<uint8_t>(0xb8 | inner_ecn);
        const Bytes packet = Outer(kTunnelGue, !v6, Inner(v6, inner_tos), {.tos = outer_ecn});
        if (outer_ecn == 3 && inner_ecn == 0) {
          ExpectDropped(packet, kDropNotEct);
          continue;
        }
        const auto expected = static_cast<uint8_t>(outer_ecn == 3 ? inner_tos | 3 : inner_tos);
        // With its header checksum.
        EXPECT_EQ(Ingress(Frame(packet)).frame, Frame(Inner(v6, expected)));
      }
    }
  }
  EXPECT_EQ(Counted(kEcnMarked), 4u);
}

TEST_F(DecapsulateTest, DatagramsPutTogetherAreNotTakenForOne) {
  // Super-packets of UDP carry several tunnel packets; the kernel refuses, and that is counted.
  EXPECT_EQ(Ingress(Frame(Outer(kTunnelGue, false, Inner(false))), 40).verdict, TC_ACT_SHOT);
  EXPECT_EQ(AllCounted(), "drop_kernel 1");
}

// Every frame cut at every length: dropped or left alone, never let through changed.
TEST_F(DecapsulateTest, CutFrames) {
  for (const TunnelKind kind : kKinds) {
    for (const bool v6 : {false, true}) {
      const Bytes frame = Frame(Outer(kind, v6, Inner(!v6)));
      // The kernel runs no program on less than an IP header.
      for (size_t size = v6 ? 54 : 34; size < frame.size(); ++size) {
        const Bytes cut(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(size));
        const Outcome outcome = Ingress(cut);
        if (outcome.verdict == TC_ACT_SHOT) continue;
        EXPECT_EQ(outcome.verdict, TC_ACT_UNSPEC);
        EXPECT_EQ(outcome.frame, cut);
      }
    }
  }
}

}  // namespace
}  // namespace sluice::backend::test
