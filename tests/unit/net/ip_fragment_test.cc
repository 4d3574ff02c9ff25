#include "dataplane/net/ip_fragment.h"

#include <gtest/gtest.h>

#include "dataplane/net/headers.h"
#include "tests/support/packet_vectors.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;

// A frame with its headers, as the parser finds them.
struct ParsedFragment {
  explicit ParsedFragment(const Bytes& frame)
      : copy(frame), headers(ParseFrame(copy.data(), copy.size(), copy.size())) {
    EXPECT_EQ(headers.l4_status, L4Status::kFragment);
  }
  auto fragment() const { return ParseFragment(copy.data(), copy.size(), headers); }
  auto ports() const {
    const auto info = fragment();
    return info ? ParseFragmentPorts(copy.data(), copy.size(), headers, *info) : std::nullopt;
  }
  ExactCopy copy;
  ParsedHeaders headers;
};

Bytes FrameV4(uint16_t field, const Bytes& payload, uint8_t words = 5, uint8_t protocol = 17) {
  return Ether(0x0800) + Ipv4(protocol, payload.size(), words, field) + payload;
}

// `field`: offset in bytes, more in the lowest bit.
Bytes FrameV6(uint16_t field, const Bytes& payload, uint8_t next = 17, const Bytes& before = {}) {
  const Bytes header = {next, 0, static_cast<uint8_t>(field >> 8), static_cast<uint8_t>(field), 0xde, 0xad, 0xbe, 0xef};
  return Ether(0x86dd) + Ipv6(before.empty() ? 44 : 60, before.size() + 8 + payload.size()) + before + header + payload;
}

TEST(IpFragmentTest, Ipv4) {
  const ParsedFragment first(FrameV4(kIpv4MoreFragments, Udp(100) + Bytes(8, 1), 7));
  const auto info = first.fragment();
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->is_first());
  EXPECT_TRUE(info->more);
  EXPECT_EQ(info->id, 1u);
  EXPECT_EQ(info->protocol, 17);
  EXPECT_EQ(info->payload_offset, 14 + 28);
  EXPECT_EQ(info->payload_length, 16);
  const auto ports = first.ports();
  ASSERT_TRUE(ports);
  EXPECT_EQ(ports->l4_offset, 14 + 28);
  EXPECT_EQ(ports->source.Host(), 53);
  EXPECT_EQ(ports->destination.Host(), 54);

  const ParsedFragment last(FrameV4(185, Bytes(5, 1)) + Bytes(20, 0));
  ASSERT_TRUE(last.fragment());
  EXPECT_FALSE(last.fragment()->is_first());
  EXPECT_FALSE(last.fragment()->more);
  EXPECT_EQ(last.fragment()->offset, 185 * 8);
  EXPECT_EQ(last.fragment()->payload_length, 5) << "Ethernet padding is not the fragment's";
  EXPECT_FALSE(last.ports());
}

TEST(IpFragmentTest, Ipv6) {
  const Bytes options = {44, 0, 0, 0, 0, 0, 0, 0};
  const ParsedFragment first(FrameV6(1, Udp(100) + Bytes(8, 1), 17, options));
  const auto info = first.fragment();
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->is_first());
  EXPECT_TRUE(info->more);
  EXPECT_EQ(info->id, 0xdeadbeefu);
  EXPECT_EQ(info->protocol, 17);
  EXPECT_EQ(info->payload_offset, 14 + 40 + 16);
  EXPECT_EQ(info->payload_length, 16);
  ASSERT_TRUE(first.ports());
  EXPECT_EQ(first.ports()->destination.Host(), 54);

  const ParsedFragment last(FrameV6(1448, Bytes(3, 1)));
  ASSERT_TRUE(last.fragment());
  EXPECT_EQ(last.fragment()->offset, 1448);
  EXPECT_FALSE(last.fragment()->more);
  EXPECT_EQ(last.fragment()->payload_length, 3);
}

TEST(IpFragmentTest, WhatCannotBe) {
  EXPECT_FALSE(ParsedFragment(FrameV4(kIpv4MoreFragments, Bytes(9, 1))).fragment()) << "more follows an odd end";
  EXPECT_FALSE(ParsedFragment(FrameV4(kIpv4MoreFragments, {})).fragment());
  EXPECT_FALSE(ParsedFragment(FrameV4(0x1fff, Bytes(9, 1))).fragment()) << "65528 + 9 bytes";
  EXPECT_FALSE(ParsedFragment(FrameV4(0x1ffc, Bytes(12, 1))).fragment())
      << "with its header the packet would pass 64 KiB";
  EXPECT_TRUE(ParsedFragment(FrameV4(0x1ffc, Bytes(11, 1))).fragment());
  EXPECT_FALSE(ParsedFragment(FrameV6(1, Bytes(9, 1))).fragment());
  EXPECT_FALSE(ParsedFragment(FrameV6(8, {})).fragment());
  EXPECT_FALSE(ParsedFragment(FrameV6(0xfff8, Bytes(8, 1))).fragment());
  EXPECT_TRUE(ParsedFragment(FrameV6(0xfff8, Bytes(7, 1))).fragment());
  // A header that is cut by the packet's end, and one that lies in the next buffer.
  EXPECT_FALSE(ParsedFragment(Ether(0x86dd) + Ipv6(44, 7) + Bytes(7, 0)).fragment());
  const Bytes frame = FrameV6(1, Bytes(8, 1));
  const ExactCopy front(Bytes(frame.begin(), frame.begin() + 61));
  const ParsedHeaders headers = ParseFrame(front.data(), front.size(), static_cast<uint32_t>(frame.size()));
  EXPECT_EQ(headers.l4_status, L4Status::kFragment);
  EXPECT_FALSE(ParseFragment(front.data(), front.size(), headers));
}

TEST(IpFragmentTest, FirstFragmentsThatHideTheirPorts) {
  EXPECT_FALSE(ParsedFragment(FrameV4(kIpv4MoreFragments, Bytes(16, 0), 5, 6)).ports()) << "16 bytes of a TCP header";
  EXPECT_TRUE(ParsedFragment(FrameV4(kIpv4MoreFragments, Tcp(kTcpSyn) + Bytes(4, 0), 5, 6)).ports());
  EXPECT_FALSE(ParsedFragment(FrameV4(kIpv4MoreFragments, Bytes(24, 0), 5, 1)).ports()) << "not TCP or UDP";
  EXPECT_FALSE(ParsedFragment(FrameV6(1, Bytes(24, 0), 58)).ports());
}

TEST(IpFragmentTest, ExtensionHeadersInsideTheFirstFragment) {
  const Bytes options = {17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const ParsedFragment first(FrameV6(1, options + Udp(100), 60));
  const auto ports = first.ports();
  ASSERT_TRUE(ports);
  EXPECT_EQ(ports->protocol, 17);
  EXPECT_EQ(ports->l4_offset, 14 + 40 + 8 + 16);
  EXPECT_EQ(ports->source.Host(), 53);
  // One that says it is longer than the fragment, one that is cut, and an endless chain.
  EXPECT_FALSE(ParsedFragment(FrameV6(1, Bytes{17, 9, 0, 0, 0, 0, 0, 0} + Udp(100), 60)).ports());
  EXPECT_FALSE(ParsedFragment(FrameV6(1, Bytes{60, 0, 0, 0, 0, 0, 0, 0}, 60)).ports());
  Bytes chain;
  for (int i = 0; i < 8; ++i) chain = chain + Bytes{60, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_FALSE(ParsedFragment(FrameV6(1, chain, 60)).ports());
}

// The fragments end to end, as a plan makes them.
Bytes Fragments(const Bytes& packet, uint32_t mtu) {
  const ExactCopy copy(packet);
  const auto plan = Ipv4FragmentPlan::Make(copy.data(), mtu);
  if (!plan) return {};
  const auto header_length = static_cast<ptrdiff_t>((packet[0] & 0x0fu) * 4);
  Bytes all;
  for (uint32_t i = 0; i < plan->count(); ++i) {
    const auto piece = plan->piece(i);
    EXPECT_LE(piece.header_length + piece.payload_length, static_cast<int>(mtu));
    Bytes header(piece.header_length);
    plan->WriteHeader(i, header.data());
    const auto begin = packet.begin() + header_length + piece.payload_offset;
    all = all + header + Bytes(begin, begin + piece.payload_length);
  }
  return all;
}

TEST(IpFragmentTest, PlanAgreesWithTheOracle) {
  EXPECT_EQ(Fragments(FromHex(oracle::kFragments.before), 1500), FromHex(oracle::kFragments.after));
}

TEST(IpFragmentTest, OptionsAreCopiedByTheirBit) {
  // Record route (7, not copied), NOP, router alert (148, copied), NOP, end.
  Bytes packet = Ipv4(17, 60, 9) + Bytes(60, 0x33);
  const Bytes options = FromHex("0707 04 00000000 01 94040000 01 00 00 00");
  std::copy(options.begin(), options.end(), packet.begin() + 20);
  const ExactCopy copy(packet);
  const auto plan = Ipv4FragmentPlan::Make(copy.data(), 60);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->count(), 3u);
  EXPECT_EQ(plan->piece(0).header_length, 36);
  EXPECT_EQ(plan->piece(0).payload_length, 24);
  EXPECT_EQ(plan->piece(1).header_length, 24);
  EXPECT_EQ(plan->piece(1).payload_offset, 24);
  EXPECT_EQ(plan->piece(1).payload_length, 32) << "the shorter header leaves more room";
  EXPECT_EQ(plan->piece(2).payload_offset, 56);
  EXPECT_EQ(plan->piece(2).payload_length, 4);
  Bytes header(24);
  plan->WriteHeader(1, header.data());
  EXPECT_EQ(header[0], 0x46);
  EXPECT_EQ(Bytes(header.begin() + 20, header.end()), FromHex("94040000"));
  EXPECT_EQ(PlainChecksum(header), 0);
  Bytes first(36);
  plan->WriteHeader(0, first.data());
  EXPECT_EQ(Bytes(first.begin() + 20, first.end()), options);
}

TEST(IpFragmentTest, AnOptionThatLiesEndsTheCopy) {
  Bytes packet = Ipv4(17, 60, 7) + Bytes(60, 0x33);
  const Bytes options = FromHex("9403 00 01 9409 0000");
  std::copy(options.begin(), options.end(), packet.begin() + 20);
  const auto plan = Ipv4FragmentPlan::Make(packet.data(), 64);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->piece(1).header_length, 24);
  Bytes header(24);
  plan->WriteHeader(1, header.data());
  EXPECT_EQ(Bytes(header.begin() + 20, header.end()), FromHex("940300 00"));
}

TEST(IpFragmentTest, AFragmentIsCutFurther) {
  const Bytes packet = Ipv4(17, 48, 5, kIpv4MoreFragments | 10) + Bytes(48, 1);
  const Bytes all = Fragments(packet, 60);
  ASSERT_EQ(all.size(), 2 * 20 + 48u);
  EXPECT_EQ(Bytes(all.begin() + 6, all.begin() + 8), (Bytes{0x20, 10}));
  EXPECT_EQ(Bytes(all.begin() + 66, all.begin() + 68), (Bytes{0x20, 15})) << "more follow those of the original";
}

TEST(IpFragmentTest, ByPayloadTheHeadersDoNotCount) {
  // Record route, which the first piece alone keeps.
  Bytes packet = Ipv4(17, 60, 7) + Bytes(60, 0x33);
  const Bytes options = FromHex("0707 04 00000000 00");
  std::copy(options.begin(), options.end(), packet.begin() + 20);
  const auto plan = Ipv4FragmentPlan::MakeByPayload(packet.data(), 31);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->count(), 3u);
  EXPECT_EQ(plan->piece(0).header_length, 28);
  EXPECT_EQ(plan->piece(0).payload_length, 24);
  EXPECT_EQ(plan->piece(1).header_length, 20);
  EXPECT_EQ(plan->piece(1).payload_length, 24);
  EXPECT_EQ(plan->piece(2).payload_length, 12);
  EXPECT_FALSE(Ipv4FragmentPlan::MakeByPayload(packet.data(), 60)) << "it fits";
  EXPECT_FALSE(Ipv4FragmentPlan::MakeByPayload(packet.data(), 7)) << "no room for eight bytes";
}

TEST(IpFragmentTest, WhatIsNotCut) {
  const Bytes packet = Ipv4(17, 80) + Bytes(80, 1);
  EXPECT_TRUE(Fragments(packet, 100).empty()) << "it fits";
  EXPECT_FALSE(Fragments(packet, 99).empty());
  EXPECT_TRUE(Fragments(packet, 27).empty()) << "no room for eight bytes";
  EXPECT_FALSE(Fragments(packet, 28).empty());
  EXPECT_TRUE(Fragments(Ipv4(17, 80, 5, kIpv4DontFragment) + Bytes(80, 1), 60).empty());
}

}  // namespace
}  // namespace sluice::net
