#include "dataplane/net/icmp.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

#include "dataplane/net/headers.h"

namespace sluice::net {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes Ipv4(uint8_t protocol, size_t payload, uint8_t ihl = 5, uint16_t fragment = 0) {
  const size_t total = ihl * 4u + payload;
  Bytes ip = {static_cast<uint8_t>(0x40 | ihl),
              0,
              static_cast<uint8_t>(total >> 8),
              static_cast<uint8_t>(total),
              0,
              1,
              static_cast<uint8_t>(fragment >> 8),
              static_cast<uint8_t>(fragment),
              64,
              protocol,
              0,
              0,
              203,
              0,
              113,
              10,
              198,
              51,
              100,
              1};
  ip.resize(ihl * 4u, 1);
  return ip;
}

Bytes Ipv6(uint8_t next, size_t payload) {
  Bytes ip(40, 0);
  ip[0] = 0x60;
  ip[5] = static_cast<uint8_t>(payload);
  ip[6] = next;
  return ip;
}

const Bytes kEther4 = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
const Bytes kEther6 = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd};
const Bytes kPorts = {0, 80, 0x9c, 0x40, 0, 0, 0, 0};

Bytes Icmp(uint8_t type, uint8_t code = 0) { return {type, code, 0, 0, 0, 0, 5, 0}; }

struct Parsed {
  explicit Parsed(const Bytes& frame) : size(static_cast<uint32_t>(frame.size())), copy(new uint8_t[frame.size()]) {
    std::copy(frame.begin(), frame.end(), copy.get());
    headers = ParseFrame(copy.get(), size, size);
  }
  bool is_error() const { return IsIcmpError(copy.get(), size, headers); }
  auto quote() const { return ParseQuotedFlow(copy.get(), size, headers); }
  uint32_t size;
  std::unique_ptr<uint8_t[]> copy;
  ParsedHeaders headers;
};

Bytes ErrorV4(const Bytes& quote, uint8_t type = 3) {
  return kEther4 + Ipv4(1, 8 + quote.size()) + Icmp(type, 4) + quote;
}

TEST(IcmpTest, FindsTheQuotedFlow) {
  const Parsed p(ErrorV4(Ipv4(6, 20) + kPorts));
  EXPECT_TRUE(p.is_error());
  const auto quote = p.quote();
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->protocol, 6);
  EXPECT_EQ(quote->source_port.Host(), 80);
  EXPECT_EQ(quote->destination_port.Host(), 40000);
  EXPECT_EQ(p.copy[quote->source_offset], 203);
  EXPECT_EQ(p.copy[quote->destination_offset], 198);
}

TEST(IcmpTest, OptionsInTheQuoteMoveThePorts) {
  const auto quote = Parsed(ErrorV4(Ipv4(17, 20, 8) + kPorts)).quote();
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->source_port.Host(), 80);
}

TEST(IcmpTest, Ipv6) {
  const Bytes quote_bytes = Ipv6(17, 100) + kPorts;
  const Parsed p(kEther6 + Ipv6(58, 8 + quote_bytes.size()) + Icmp(2) + quote_bytes);
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
    return Parsed(kEther6 + Ipv6(58, 8 + quote.size()) + Icmp(2) + quote).quote();
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
  const Parsed echo4(kEther4 + Ipv4(1, 8) + Icmp(8));
  EXPECT_TRUE(IsEchoRequest(echo4.copy.get(), echo4.size, echo4.headers));
  const Parsed echo6(kEther6 + Ipv6(58, 8) + Icmp(128));
  EXPECT_TRUE(IsEchoRequest(echo6.copy.get(), echo6.size, echo6.headers));
  EXPECT_FALSE(echo6.is_error());
  const Parsed cut(kEther4 + Ipv4(1, 7) + Bytes(7, 8));
  EXPECT_FALSE(IsEchoRequest(cut.copy.get(), cut.size, cut.headers));
}

TEST(IcmpTest, RandomBytesStayInBounds) {
  std::mt19937 random(8);
  const std::vector<Bytes> seeds = {ErrorV4(Ipv4(6, 20) + kPorts),
                                    kEther6 + Ipv6(58, 56) + Icmp(2) + Ipv6(17, 100) + kPorts};
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
