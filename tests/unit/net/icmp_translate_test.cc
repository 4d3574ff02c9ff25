#include "dataplane/net/icmp_translate.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

#include "dataplane/net/headers.h"
#include "tests/support/packet_vectors.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;

constexpr LinkMtus kLinks = {.v4 = 1500, .v6 = 1500};

std::optional<IcmpMessage> To6(uint8_t type, uint8_t code, uint32_t rest = 0, LinkMtus links = kLinks,
                               uint32_t quoted = 1500) {
  return TranslateIcmpErrorToV6({type, code, rest}, links, quoted);
}
std::optional<IcmpMessage> To4(uint8_t type, uint8_t code, uint32_t rest = 0, LinkMtus links = kLinks) {
  return TranslateIcmpErrorToV4({type, code, rest}, links);
}

// The lists of RFC 7915, section 4.2, code by code.
TEST(IcmpTranslateTest, UnreachableToV6) {
  for (const uint8_t code : std::initializer_list<uint8_t>{0, 1, 5, 6, 7, 8, 11, 12})
    EXPECT_EQ(To6(3, code), (IcmpMessage{1, 0, 0})) << int{code};
  for (const uint8_t code : std::initializer_list<uint8_t>{9, 10, 13, 15})
    EXPECT_EQ(To6(3, code), (IcmpMessage{1, 1, 0})) << int{code};
  EXPECT_EQ(To6(3, 2), (IcmpMessage{4, 1, 6}));
  EXPECT_EQ(To6(3, 3), (IcmpMessage{1, 4, 0}));
  EXPECT_FALSE(To6(3, 14));
  EXPECT_FALSE(To6(3, 16));
}

TEST(IcmpTranslateTest, MtuToV6) {
  const auto mtu = [](uint32_t told, LinkMtus links = kLinks, uint32_t quoted = 1500) {
    const auto message = To6(3, 4, told, links, quoted);
    EXPECT_EQ(message->type, 2);
    EXPECT_EQ(message->code, 0);
    return message->rest;
  };
  EXPECT_EQ(mtu(1400), 1420u);
  EXPECT_EQ(mtu(1500), 1500u) << "not more than the IPv6 link has";
  EXPECT_EQ(mtu(9000, {.v4 = 1400, .v6 = 9000}), 1420u) << "not more than the IPv4 link has";
  EXPECT_EQ(mtu(576), 1280u) << "IPv6 has no smaller one";
  EXPECT_EQ(mtu(0xabcd0000 | 1400), 1420u) << "the upper half is unused";
  EXPECT_EQ(mtu(0, kLinks, 1500), 1500u) << "1492 is the plateau below 1500";
  EXPECT_EQ(mtu(0, {.v4 = 9000, .v6 = 9000}, 4352), 2022u);
  EXPECT_EQ(mtu(0, kLinks, 60), 1280u);
}

TEST(IcmpTranslateTest, TimeExceededKeepsItsCode) {
  for (const uint8_t code : std::initializer_list<uint8_t>{0, 1}) {
    EXPECT_EQ(To6(11, code), (IcmpMessage{3, code, 0}));
    EXPECT_EQ(To4(3, code), (IcmpMessage{11, code, 0}));
  }
}

// Figures 3 and 6, all bytes of the headers.
TEST(IcmpTranslateTest, PointersOfParameterProblems) {
  const std::vector<int> to_v6 = {0, 1, 4, 4, -1, -1, -1, -1, 7, 6, -1, -1, 8, 8, 8, 8, 24, 24, 24, 24, -1};
  for (size_t i = 0; i < to_v6.size(); ++i) {
    const auto message = To6(12, i % 2 == 0 ? 0 : 2, static_cast<uint32_t>(i) << 24);
    ASSERT_EQ(message.has_value(), to_v6[i] >= 0) << i;
    if (message) {
      EXPECT_EQ(*message, (IcmpMessage{4, 0, static_cast<uint32_t>(to_v6[i])})) << i;
    }
  }
  for (uint32_t i = 0; i <= 40; ++i) {
    const int expected = i == 0   ? 0
                         : i == 1 ? 1
                         : i < 4  ? -1
                         : i < 6  ? 2
                         : i == 6 ? 9
                         : i == 7 ? 8
                         : i < 24 ? 12
                         : i < 40 ? 16
                                  : -1;
    const auto message = To4(4, 0, i);
    ASSERT_EQ(message.has_value(), expected >= 0) << i;
    if (message) {
      EXPECT_EQ(*message, (IcmpMessage{12, 0, static_cast<uint32_t>(expected) << 24})) << i;
    }
  }
  EXPECT_FALSE(To6(12, 1));
  EXPECT_EQ(To4(4, 1, 6), (IcmpMessage{3, 2, 0}));
  EXPECT_FALSE(To4(4, 2));
}

TEST(IcmpTranslateTest, UnreachableToV4) {
  const std::vector<int> codes = {1, 10, 1, 1, 3};
  for (size_t i = 0; i < codes.size(); ++i) {
    EXPECT_EQ(To4(1, static_cast<uint8_t>(i)), (IcmpMessage{3, static_cast<uint8_t>(codes[i]), 0})) << i;
  }
  EXPECT_FALSE(To4(1, 5));
}

TEST(IcmpTranslateTest, MtuToV4) {
  const auto mtu = [](uint32_t told, LinkMtus links) {
    const auto message = To4(2, 0, told, links);
    EXPECT_EQ(message->type, 3);
    EXPECT_EQ(message->code, 4);
    return message->rest;
  };
  EXPECT_EQ(mtu(1400, kLinks), 1380u);
  EXPECT_EQ(mtu(9000, {.v4 = 1400, .v6 = 9000}), 1400u);
  EXPECT_EQ(mtu(9000, {.v4 = 9000, .v6 = 1500}), 1480u);
  EXPECT_EQ(mtu(10, kLinks), 0u);
  EXPECT_EQ(mtu(0xffffffff, {.v4 = 100000, .v6 = 100000}), 65535u);
}

TEST(IcmpTranslateTest, WhatIsNoErrorIsDropped) {
  for (const uint8_t type : std::initializer_list<uint8_t>{0, 4, 5, 8, 13}) EXPECT_FALSE(To6(type, 0));
  for (const uint8_t type : std::initializer_list<uint8_t>{0, 128, 129, 133, 137}) EXPECT_FALSE(To4(type, 0));
}

// The whole error, translated; empty when it is not.
Bytes TranslatedError(const Bytes& packet, uint32_t l4_bytes) {
  const ExactCopy copy(packet);
  const bool to_v6 = packet[0] >> 4 == 4;
  const IpAddress local = *IpAddress::Parse(to_v6 ? "2001:db8::5" : "192.0.2.5");
  const IpAddress backend = *IpAddress::Parse(to_v6 ? "2001:db8::11" : "192.0.2.11");
  const PacketBytes view = {to_v6 ? Family::kIpv4 : Family::kIpv6, uint8_t{to_v6 ? kProtocolIcmp : kProtocolIcmpv6},
                            copy.data(), copy.data() + (to_v6 ? 20 : 40), l4_bytes};
  Bytes out(kMaxTranslatedError);
  out.resize(TranslateIcmpError(view, local.data(), backend.data(),
                                {backend.data(), local.data(), Be16::FromHost(8080), Be16::FromHost(1025)}, kLinks,
                                out.data()));
  EXPECT_EQ(copy.bytes(), packet);
  return out;
}
Bytes TranslatedError(const Bytes& packet) {
  return TranslatedError(packet, static_cast<uint32_t>(packet.size()) - (packet[0] >> 4 == 4 ? 20 : 40));
}

TEST(IcmpTranslateTest, WholeErrorsAgreeWithTheOracle) {
  for (const auto& vector :
       {oracle::kErrorTo6Short, oracle::kErrorTo6Udp, oracle::kErrorTo4, oracle::kErrorTo4WithExtension}) {
    EXPECT_EQ(TranslatedError(FromHex(vector.before)), FromHex(vector.after));
  }
}

TEST(IcmpTranslateTest, LongQuotesAreCut) {
  const Bytes udp = Udp(1208) + Bytes(1200, 0x5a);
  const Bytes quote = Ipv6(17, udp.size()) + udp;
  const Bytes packet = Sealed(Ipv6(58, 8 + quote.size()) + Icmp(2) + quote, 40, kProtocolIcmpv6);
  const Bytes v4 = TranslatedError(packet);
  EXPECT_EQ(v4.size(), 576u);
  EXPECT_EQ(v4, Sealed(v4, 20, kProtocolIcmp));
  EXPECT_EQ(v4[28 + 2] << 8 | v4[28 + 3], 20 + 1208) << "the quoted length is the whole packet's";
}

TEST(IcmpTranslateTest, WholeErrorsThatAreNotTranslated) {
  const Bytes error = FromHex(oracle::kErrorTo6Udp.before);
  EXPECT_FALSE(TranslatedError(error).empty());
  EXPECT_TRUE(TranslatedError(error, 8 + 20 + 7).empty()) << "the quote ends before its eighth byte of UDP";
  Bytes changed = error;
  changed[8] = 1;
  EXPECT_TRUE(TranslatedError(changed).empty()) << "no hop left";
  changed = error;
  changed[20] = 4;
  EXPECT_TRUE(TranslatedError(changed).empty()) << "source quench";
}

}  // namespace
}  // namespace sluice::net
