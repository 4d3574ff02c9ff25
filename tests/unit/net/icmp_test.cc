#include "dataplane/net/icmp.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "dataplane/net/headers.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;

const Bytes kPorts = {0, 80, 0x9c, 0x40, 0, 0, 0, 0};

struct Parsed {
  explicit Parsed(const Bytes& frame) : copy(frame), headers(ParseFrame(copy.data(), copy.size(), copy.size())) {}
  bool is_error() const { return IsIcmpError(copy.data(), copy.size(), headers); }
  bool is_echo() const { return IsEchoRequest(copy.data(), copy.size(), headers); }
  auto quote() const { return ParseQuotedFlow(copy.data(), copy.size(), headers); }
  ExactCopy copy;
  ParsedHeaders headers;
};

Bytes ErrorV4(const Bytes& quote, uint8_t type = 3) {
  return Ether(0x0800) + Ipv4(1, 8 + quote.size()) + Icmp(type, 4) + quote;
}

TEST(IcmpTest, FindsTheQuotedFlow) {
  const Parsed p(ErrorV4(Ipv4(6, 20) + kPorts));
  EXPECT_TRUE(p.is_error());
  const auto quote = p.quote();
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->protocol, 6);
  EXPECT_EQ(quote->source_port.Host(), 80);
  EXPECT_EQ(quote->destination_port.Host(), 40000);
  EXPECT_EQ(quote->l4_offset, 14 + 28 + 20);
  EXPECT_EQ(p.copy.data()[quote->source_offset], 203);
  EXPECT_EQ(p.copy.data()[quote->destination_offset], 198);
}

TEST(IcmpTest, OptionsInTheQuoteMoveThePorts) {
  const auto quote = Parsed(ErrorV4(Ipv4(17, 20, 8) + kPorts)).quote();
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->source_port.Host(), 80);
}

TEST(IcmpTest, Ipv6) {
  const Bytes quote_bytes = Ipv6(17, 100) + kPorts;
  const Parsed p(Ether(0x86dd) + Ipv6(58, 8 + quote_bytes.size()) + Icmp(2) + quote_bytes);
  EXPECT_TRUE(p.is_error());
  const auto quote = p.quote();
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->protocol, 17);
  EXPECT_EQ(quote->destination_port.Host(), 40000);
}

TEST(IcmpTest, Ipv6QuotesOfFirstFragmentsAndOptions) {
  const Bytes options = {44, 0, 0, 0, 0, 0, 0, 0};
  const Bytes first = {17, 0, 0, 1, 0, 0, 0, 9};
  const Bytes later = {17, 0, 0, 8, 0, 0, 0, 9};
  const auto quote_of = [](const Bytes& quote) {
    return Parsed(Ether(0x86dd) + Ipv6(58, 8 + quote.size()) + Icmp(2) + quote).quote();
  };
  const auto flow = quote_of(Ipv6(60, 100) + options + first + kPorts);
  ASSERT_TRUE(flow);
  EXPECT_EQ(flow->protocol, 17);
  EXPECT_EQ(flow->source_port.Host(), 80);
  EXPECT_FALSE(quote_of(Ipv6(44, 100) + later + kPorts));
  EXPECT_FALSE(quote_of(Ipv6(44, 100) + Bytes{17, 0, 0}));
}

TEST(IcmpTest, WhatIsNoUsableQuote) {
  EXPECT_FALSE(Parsed(ErrorV4({})).quote());
  EXPECT_FALSE(Parsed(ErrorV4(Ipv4(6, 20))).quote());
  Bytes cut = Ipv4(6, 20) + kPorts;
  cut.pop_back();
  EXPECT_FALSE(Parsed(ErrorV4(cut)).quote());
  EXPECT_FALSE(Parsed(ErrorV4(Ipv4(1, 20) + kPorts)).quote());
  EXPECT_FALSE(Parsed(ErrorV4(Ipv4(6, 20, 5, 1) + kPorts)).quote()) << "a later fragment has no ports";
  EXPECT_TRUE(Parsed(ErrorV4(Ipv4(6, 20, 5, kIpv4MoreFragments) + kPorts)).quote());
  EXPECT_FALSE(Parsed(ErrorV4(Ipv6(6, 20) + kPorts)).quote());
  Bytes short_header = Ipv4(6, 20) + kPorts;
  short_header[0] = 0x44;
  EXPECT_FALSE(Parsed(ErrorV4(short_header)).quote());
}

TEST(IcmpTest, ErrorsAndEchoesByType) {
  for (const uint8_t type : {uint8_t{3}, uint8_t{11}, uint8_t{12}}) EXPECT_TRUE(Parsed(ErrorV4({}, type)).is_error());
  for (const uint8_t type : {uint8_t{0}, uint8_t{5}, uint8_t{8}}) EXPECT_FALSE(Parsed(ErrorV4({}, type)).is_error());
  const Parsed echo4(Ether(0x0800) + Ipv4(1, 8) + Icmp(8));
  EXPECT_TRUE(echo4.is_echo());
  const Parsed echo6(Ether(0x86dd) + Ipv6(58, 8) + Icmp(128));
  EXPECT_TRUE(echo6.is_echo());
  EXPECT_FALSE(echo6.is_error());
  const Parsed cut(Ether(0x0800) + Ipv4(1, 7) + Bytes(7, 8));
  EXPECT_FALSE(cut.is_echo());
}

TEST(IcmpTest, RandomBytesStayInBounds) {
  std::mt19937 random(8);
  const std::vector<Bytes> seeds = {ErrorV4(Ipv4(6, 20) + kPorts),
                                    Ether(0x86dd) + Ipv6(58, 56) + Icmp(2) + Ipv6(17, 100) + kPorts};
  for (int round = 0; round < 30000; ++round) {
    Bytes frame = seeds[random() % seeds.size()];
    for (int i = 0; i < 3; ++i) frame[14 + random() % (frame.size() - 14)] = static_cast<uint8_t>(random());
    frame.resize(random() % (frame.size() + 1));
    const Parsed p(frame);
    if (p.headers.status != ParseStatus::kOk || p.headers.l4_status != L4Status::kOther) continue;
    p.is_error();
    if (const auto quote = p.quote()) {
      EXPECT_LT(quote->destination_offset, frame.size());
    }
  }
}

}  // namespace
}  // namespace sluice::net
