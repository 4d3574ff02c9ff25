#include "dataplane/net/parser.h"

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <random>
#include <tuple>
#include <vector>

#include "dataplane/net/checksum.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;

void ExpectEqual(const ParsedHeaders& a, const ParsedHeaders& b) {
  const auto all = [](const ParsedHeaders& h) {
    return std::tuple(h.status, h.l4_status, h.error, h.family, h.protocol, h.tcp_flags, h.vlan_tags, h.has_extension,
                      h.l3_offset, h.l4_offset, h.ip_length, h.ether_type.Host(), h.source_port.Host(),
                      h.destination_port.Host());
  };
  EXPECT_EQ(all(a), all(b));
}

// The fast half of the parser says what the whole one says, or nothing. True: it said something.
bool CheckCommon(const Bytes& frame, uint32_t contiguous) {
  const ExactCopy copy(Bytes(frame.begin(), frame.begin() + contiguous));
  const auto frame_length = static_cast<uint32_t>(frame.size());
  ParsedHeaders common;
  // What an earlier packet left there must not matter.
  common.has_extension = true;
  common.tcp_flags = 0xff;
  common.vlan_tags = 2;
  if (!ParseCommonFrame(copy.data(), contiguous, frame_length, common)) return false;
  ExpectEqual(common, ParseFrame(copy.data(), contiguous, frame_length));
  return true;
}

ParsedHeaders Parse(const Bytes& frame) {
  CheckCommon(frame, static_cast<uint32_t>(frame.size()));
  const ExactCopy copy(frame);
  return ParseFrame(copy.data(), copy.size(), copy.size());
}

void ExpectError(const Bytes& frame, DropReason reason) {
  const ParsedHeaders h = Parse(frame);
  EXPECT_EQ(h.status, ParseStatus::kError);
  EXPECT_EQ(DropReasonLabel(h.error), DropReasonLabel(reason));
}

void ExpectL4Error(const Bytes& frame, DropReason reason) {
  const ParsedHeaders h = Parse(frame);
  EXPECT_EQ(h.status, ParseStatus::kOk);
  EXPECT_EQ(h.l4_status, L4Status::kError);
  EXPECT_EQ(DropReasonLabel(h.error), DropReasonLabel(reason));
}

TEST(ParserTest, CommonFramesAreParsedTheSame) {
  const std::vector<Bytes> frames = {
      Ether(0x0800) + Ipv4(6, 20) + Tcp(kTcpSyn), Ether(0x0800) + Ipv4(17, 26) + Udp(26) + Bytes(18),
      Ether(0x86dd) + Ipv6(6, 20) + Tcp(kTcpAck), Ether(0x86dd) + Ipv6(17, 20) + Udp(20) + Bytes(12),
      Ether(0x0800) + Ipv4(6, 20) + Tcp(kTcpSyn) + Bytes(6)};
  std::mt19937 random(1);
  size_t common = 0;
  for (const Bytes& frame : frames) {
    EXPECT_TRUE(CheckCommon(frame, static_cast<uint32_t>(frame.size())));
    for (int i = 0; i < 20'000; ++i) {
      Bytes changed = frame;
      for (auto k = random() % 3; k > 0; --k) {
        uint8_t& byte = changed[12 + random() % (changed.size() - 12)];
        byte = static_cast<uint8_t>(byte ^ 1u << random() % 8);
      }
      const size_t shorter = random() % 4 == 0 ? random() % 4 : 0;
      common += CheckCommon(changed, static_cast<uint32_t>(changed.size() - shorter)) ? 1 : 0;
    }
  }
  EXPECT_GT(common, 10'000u);
}

TEST(ParserTest, ChecksumOfCommonHeader) {
  std::mt19937 random(1);
  for (int i = 0; i < 100'000; ++i) {
    std::array<uint8_t, 20> header{};
    // All ones and all zeros are where sums carry over, and where they do not.
    for (uint8_t& byte : header) byte = static_cast<uint8_t>(random() % 3 == 0 ? random() : random() % 2 * 0xff);
    const uint16_t sum = i % 2 == 0 ? InternetChecksum(header.data(), 18) : static_cast<uint16_t>(random());
    Store(header.data() + 18, sum);
    EXPECT_EQ(CommonIpv4ChecksumIsValid(header.data()), ChecksumIsValid(header.data(), header.size()));
  }
}

TEST(ParserTest, Ipv4Tcp) {
  const ParsedHeaders h = Parse(Ether(0x0800) + Ipv4(6, 20) + Tcp(kTcpSyn));
  EXPECT_EQ(h.status, ParseStatus::kOk);
  EXPECT_EQ(h.l4_status, L4Status::kPorts);
  EXPECT_EQ(h.family, Family::kIpv4);
  EXPECT_EQ(h.protocol, 6);
  EXPECT_EQ(h.tcp_flags, kTcpSyn);
  EXPECT_EQ(h.l3_offset, 14);
  EXPECT_EQ(h.l4_offset, 34);
  EXPECT_EQ(h.ip_length, 40);
  EXPECT_EQ(h.source_port.Host(), 0x1234);
  EXPECT_EQ(h.destination_port.Host(), 80);
}

TEST(ParserTest, Ipv4OptionsMoveTheL4Header) {
  const ParsedHeaders h = Parse(Ether(0x0800) + Ipv4(17, 8, 15) + Udp(8));
  EXPECT_EQ(h.l4_status, L4Status::kPorts);
  EXPECT_EQ(h.l4_offset, 14 + 60);
  EXPECT_EQ(h.destination_port.Host(), 54);
}

TEST(ParserTest, OneAndTwoVlanTags) {
  const ParsedHeaders one = Parse(Ether(0x8100) + Vlan(0x0800) + Ipv4(6, 20) + Tcp(kTcpAck));
  EXPECT_EQ(one.vlan_tags, 1);
  EXPECT_EQ(one.l3_offset, 18);
  EXPECT_EQ(one.l4_status, L4Status::kPorts);
  const ParsedHeaders two = Parse(Ether(0x88a8) + Vlan(0x8100) + Vlan(0x86dd) + Ipv6(6, 20) + Tcp(kTcpAck));
  EXPECT_EQ(two.vlan_tags, 2);
  EXPECT_EQ(two.l3_offset, 22);
  EXPECT_EQ(two.family, Family::kIpv6);
  EXPECT_EQ(two.l4_status, L4Status::kPorts);
  ExpectError(Ether(0x88a8) + Vlan(0x8100) + Vlan(0x8100) + Vlan(0x0800) + Ipv4(6, 20) + Tcp(0),
              DropReason::kTooManyVlanTags);
}

TEST(ParserTest, EthernetPaddingIsNotThePacket) {
  const ParsedHeaders h = Parse(Ether(0x0800) + Ipv4(6, 20) + Tcp(kTcpAck) + Bytes(6, 0));
  EXPECT_EQ(h.l4_status, L4Status::kPorts);
  EXPECT_EQ(h.ip_length, 40);
}

TEST(ParserTest, Ipv6ExtensionHeaders) {
  const Bytes hop_by_hop = {60, 0, 0, 0, 0, 0, 0, 0};
  const Bytes options = {43, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const Bytes routing = {51, 0, 0, 0, 0, 0, 0, 0};
  const Bytes authentication = {6, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const Bytes payload = hop_by_hop + options + routing + authentication + Tcp(kTcpSyn);
  const ParsedHeaders h = Parse(Ether(0x86dd) + Ipv6(0, payload.size()) + payload);
  EXPECT_EQ(h.l4_status, L4Status::kPorts);
  EXPECT_TRUE(h.has_extension);
  EXPECT_EQ(h.protocol, 6);
  EXPECT_EQ(h.l4_offset, 14 + 40 + 56);
  EXPECT_EQ(h.destination_port.Host(), 80);
}

TEST(ParserTest, ExtensionHeadersAreBounded) {
  Bytes chain;
  for (int i = 0; i < 9; ++i) chain = chain + Bytes{60, 0, 0, 0, 0, 0, 0, 0};
  ExpectL4Error(Ether(0x86dd) + Ipv6(60, chain.size()) + chain, DropReason::kExtensionHeader);
  // One that claims to be longer than the packet.
  ExpectL4Error(Ether(0x86dd) + Ipv6(0, 8) + Bytes{6, 200, 0, 0, 0, 0, 0, 0}, DropReason::kBadIpLength);
  ExpectL4Error(Ether(0x86dd) + Ipv6(0, 1) + Bytes{6}, DropReason::kBadIpLength);
}

TEST(ParserTest, Fragments) {
  EXPECT_EQ(Parse(Ether(0x0800) + Ipv4(6, 20, 5, kIpv4MoreFragments) + Tcp(0)).l4_status, L4Status::kFragment);
  EXPECT_EQ(Parse(Ether(0x0800) + Ipv4(6, 20, 5, 3) + Tcp(0)).l4_status, L4Status::kFragment);
  EXPECT_EQ(Parse(Ether(0x0800) + Ipv4(6, 20, 5, kIpv4DontFragment) + Tcp(0)).l4_status, L4Status::kPorts);
  EXPECT_EQ(Parse(Ether(0x86dd) + Ipv6(44, 28) + Bytes{6, 0, 0, 1, 0, 0, 0, 9} + Tcp(0)).l4_status,
            L4Status::kFragment);
}

TEST(ParserTest, AnAtomicFragmentIsAWholePacket) {
  const ParsedHeaders h = Parse(Ether(0x86dd) + Ipv6(44, 28) + Bytes{6, 77, 0, 0, 0, 0, 0, 9} + Tcp(kTcpSyn));
  EXPECT_EQ(h.l4_status, L4Status::kPorts);
  EXPECT_EQ(h.l4_offset, 14 + 48);
  EXPECT_TRUE(h.has_extension);
  EXPECT_EQ(Parse(Ether(0x86dd) + Ipv6(44, 7) + Bytes(7, 0)).l4_status, L4Status::kFragment);
}

TEST(ParserTest, NotIp) {
  const ParsedHeaders h = Parse(Ether(0x0806) + Bytes(28, 0));
  EXPECT_EQ(h.status, ParseStatus::kNotIp);
  EXPECT_EQ(h.ether_type.Host(), kEtherTypeArp);
}

TEST(ParserTest, Lies) {
  Bytes short_tcp = Tcp(0, 6);
  short_tcp.resize(20);
  ExpectError({}, DropReason::kTruncatedHeader);
  ExpectError(Bytes(13, 0), DropReason::kTruncatedHeader);
  ExpectError(Ether(0x8100) + Bytes{0}, DropReason::kTruncatedHeader);
  ExpectError(Ether(0x0800) + Bytes(19, 0x45), DropReason::kTruncatedHeader);
  ExpectError(Ether(0x86dd) + Bytes(39, 0x60), DropReason::kTruncatedHeader);
  ExpectError(Ether(0x0800) + Ipv6(6, 20) + Tcp(0), DropReason::kBadIpVersion);
  ExpectError(Ether(0x86dd) + Ipv4(6, 20) + Tcp(0), DropReason::kBadIpVersion);
  ExpectError(Ether(0x0800) + Ipv4(6, 20, 4) + Tcp(0), DropReason::kBadIpHeaderLength);
  Bytes longer = Ether(0x0800) + Ipv4(6, 21) + Tcp(0);
  ExpectError(longer, DropReason::kBadIpLength);
  ExpectError(Ether(0x86dd) + Ipv6(6, 21) + Tcp(0), DropReason::kBadIpLength);
  ExpectL4Error(Ether(0x0800) + Ipv4(6, 19) + Tcp(0), DropReason::kBadL4Length);
  ExpectL4Error(Ether(0x0800) + Ipv4(6, 20) + Tcp(0, 4), DropReason::kBadL4Length);
  ExpectL4Error(Ether(0x0800) + Ipv4(6, 20) + short_tcp, DropReason::kBadL4Length);
  ExpectL4Error(Ether(0x0800) + Ipv4(17, 7) + Udp(8), DropReason::kBadL4Length);
  ExpectL4Error(Ether(0x0800) + Ipv4(17, 8) + Udp(9), DropReason::kBadL4Length);
  ExpectL4Error(Ether(0x0800) + Ipv4(17, 8) + Udp(7), DropReason::kBadL4Length);
}

TEST(ParserTest, HeadersBeyondTheFirstBufferAreToldApart) {
  const Bytes frame = Ether(0x0800) + Ipv4(6, 20) + Tcp(0);
  const auto length = static_cast<uint32_t>(frame.size());
  EXPECT_EQ(ParseFrame(frame.data(), 30, length).error, DropReason::kHeaderNotContiguous);
  const ParsedHeaders h = ParseFrame(frame.data(), 40, length);
  EXPECT_EQ(h.l4_status, L4Status::kError);
  EXPECT_EQ(h.error, DropReason::kHeaderNotContiguous);
}

TEST(ParserTest, RandomBytesStayInBounds) {
  std::mt19937 random(3);
  const std::initializer_list<Bytes> seeds = {Ether(0x0800) + Ipv4(6, 20) + Tcp(0),
                                              Ether(0x86dd) + Ipv6(0, 28) + Bytes{6, 0, 0, 0, 0, 0, 0, 0} + Tcp(0),
                                              Ether(0x8100) + Vlan(0x0800) + Ipv4(17, 8) + Udp(8)};
  for (int round = 0; round < 30000; ++round) {
    Bytes frame = *(seeds.begin() + random() % seeds.size());
    for (int i = 0; i < 4; ++i) frame[random() % frame.size()] = static_cast<uint8_t>(random());
    frame.resize(random() % (frame.size() + 1));
    const ParsedHeaders h = Parse(frame);
    if (h.status == ParseStatus::kOk) {
      EXPECT_LE(size_t{h.l3_offset} + h.ip_length, frame.size());
      if (h.l4_status == L4Status::kPorts) {
        EXPECT_LE(h.l4_offset + 8u, frame.size());
      }
    }
  }
}

}  // namespace
}  // namespace sluice::net
