#include "dataplane/net/nat_rewrite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "tests/support/packet_vectors.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;
using oracle::PacketVector;

// The ends of the vectors' packets after the change.
struct Ends {
  explicit Ends(Family family)
      : local(*IpAddress::Parse(family == Family::kIpv4 ? "192.0.2.5" : "2001:db8::5")),
        backend(*IpAddress::Parse(family == Family::kIpv4 ? "192.0.2.11" : "2001:db8::11")) {}
  NatChange ToBackend() const { return {local.data(), backend.data(), Be16::FromHost(1025), Be16::FromHost(8080)}; }
  NatChange FromBackend() const { return {backend.data(), local.data(), Be16::FromHost(8080), Be16::FromHost(1025)}; }
  IpAddress local;
  IpAddress backend;
};

Family FamilyOf(const ExactCopy& packet) { return packet.data()[0] >> 4 == 4 ? Family::kIpv4 : Family::kIpv6; }

// `packet` begins with an IP header without options or extension headers.
PacketBytes View(const ExactCopy& packet) {
  const Family family = FamilyOf(packet);
  const uint32_t l4 = family == Family::kIpv4 ? 20 : 40;
  const uint8_t protocol = packet.data()[family == Family::kIpv4 ? 9 : 6];
  return {family, protocol, packet.data(), packet.data() + l4, packet.size() - l4};
}

TEST(NatRewriteTest, TcpAndUdpOfBothFamilies) {
  for (const PacketVector& vector :
       {oracle::kNatTcpV4, oracle::kNatUdpV4, oracle::kNatTcpV6, oracle::kNatUdpV6, oracle::kNatUdpWithoutChecksum}) {
    const ExactCopy packet(FromHex(vector.before));
    EXPECT_TRUE(RewriteFlow(View(packet), Ends(FamilyOf(packet)).ToBackend()));
    EXPECT_EQ(packet.bytes(), FromHex(vector.after));
  }
}

TEST(NatRewriteTest, OneEndAlone) {
  const ExactCopy packet(FromHex(oracle::kNatTcpV6.before));
  const Ends ends(Family::kIpv6);
  NatChange change = ends.ToBackend();
  change.source = nullptr;
  EXPECT_TRUE(RewriteFlow(View(packet), change));
  const Bytes half = packet.bytes();
  EXPECT_EQ(half, Sealed(half, 40, kProtocolTcp));
  EXPECT_EQ(Bytes(half.begin(), half.begin() + 24), Bytes(packet.data(), packet.data() + 24));
  change = ends.ToBackend();
  change.destination = nullptr;
  EXPECT_TRUE(RewriteFlow(View(packet), change));
  EXPECT_EQ(packet.bytes(), FromHex(oracle::kNatTcpV6.after));
}

TEST(NatRewriteTest, WhatIsTooShortOrOfAnotherProtocolStaysAsItIs) {
  const Ends ends(Family::kIpv4);
  for (const auto& [vector, l4_bytes] : {std::pair(oracle::kNatTcpV4, 17u), std::pair(oracle::kNatUdpV4, 7u)}) {
    Bytes cut = FromHex(vector.before);
    cut.resize(20 + l4_bytes);
    const ExactCopy packet(cut);
    EXPECT_FALSE(RewriteFlow(View(packet), ends.ToBackend()));
    EXPECT_EQ(packet.bytes(), cut);
  }
  const ExactCopy icmp(FromHex(oracle::kNatErrorUdpV4.before));
  EXPECT_FALSE(RewriteFlow(View(icmp), ends.ToBackend()));
}

TEST(NatRewriteTest, AddressesOfALaterFragment) {
  for (const uint8_t options : {uint8_t{5}, uint8_t{8}}) {
    Bytes fragment = Ipv4(17, 16, options, 185) + Bytes(16, 0x5a);
    const uint16_t before = PlainChecksum(Bytes(fragment.begin(), fragment.begin() + options * 4));
    fragment[10] = static_cast<uint8_t>(before >> 8);
    fragment[11] = static_cast<uint8_t>(before);
    const ExactCopy packet(fragment);
    const Ends ends(Family::kIpv4);
    RewriteAddresses(Family::kIpv4, packet.data(), ends.local.data(), ends.backend.data());
    EXPECT_EQ(PlainChecksum(Bytes(packet.data(), packet.data() + options * 4)), 0);
    EXPECT_EQ(packet.bytes()[15], 5);
    EXPECT_EQ(packet.bytes()[19], 11);
    EXPECT_EQ(Bytes(packet.data() + options * 4, packet.data() + packet.size()), Bytes(16, 0x5a));
  }
}

// Sealed from scratch before and after, with random ends, payloads, lengths and options.
TEST(NatRewriteTest, EqualsRecomputationOnRandomPackets) {
  std::mt19937 random(4);
  for (int round = 0; round < 20000; ++round) {
    const bool v4 = random() % 2 == 0;
    const uint8_t protocol = random() % 2 == 0 ? kProtocolTcp : kProtocolUdp;
    Bytes payload(random() % 70);
    for (auto& byte : payload) byte = static_cast<uint8_t>(random());
    const Bytes l4 = (protocol == kProtocolTcp ? Tcp(kTcpAck) : Udp(8 + payload.size())) + payload;
    const auto words = static_cast<uint8_t>(5 + random() % 11);
    Bytes packet = (v4 ? Ipv4(protocol, l4.size(), words) : Ipv6(protocol, l4.size())) + l4;
    const size_t l4_offset = v4 ? words * 4u : 40;
    Seal(&packet, l4_offset, protocol);
    const bool without_checksum = protocol == kProtocolUdp && random() % 4 == 0;
    if (without_checksum) packet[l4_offset + 6] = packet[l4_offset + 7] = 0;
    uint8_t ends[32];
    for (auto& byte : ends) byte = static_cast<uint8_t>(random() % 3 == 0 ? 0xff : random());
    NatChange change = {ends, ends + 16, Be16::FromRaw(static_cast<uint16_t>(random())),
                        Be16::FromRaw(static_cast<uint16_t>(random()))};
    const ExactCopy copy(packet);
    ASSERT_TRUE(RewriteFlow({v4 ? Family::kIpv4 : Family::kIpv6, protocol, copy.data(), copy.data() + l4_offset,
                             static_cast<uint32_t>(l4.size())},
                            change));
    const size_t size = v4 ? 4 : 16;
    std::copy_n(ends, size, packet.begin() + (v4 ? 12 : 8));
    std::copy_n(ends + 16, size, packet.begin() + (v4 ? 16 : 24));
    std::memcpy(&packet[l4_offset], &change.source_port, 2);
    std::memcpy(&packet[l4_offset + 2], &change.destination_port, 2);
    ASSERT_EQ(copy.bytes(), Sealed(packet, l4_offset, protocol)) << round;
  }
}

TEST(NatRewriteTest, AWrongChecksumStaysWrong) {
  Bytes packet = FromHex(oracle::kNatTcpV4.before);
  packet.back() ^= 1;
  const ExactCopy copy(packet);
  EXPECT_TRUE(RewriteFlow(View(copy), Ends(Family::kIpv4).ToBackend()));
  EXPECT_NE(copy.bytes(), Sealed(copy.bytes(), 20, kProtocolTcp));
}

TEST(NatRewriteTest, IcmpErrorsWithTheirQuotes) {
  for (const PacketVector& vector :
       {oracle::kNatErrorTcpShortV4, oracle::kNatErrorTcpLongV4, oracle::kNatErrorUdpV4, oracle::kNatErrorTcpV6}) {
    const ExactCopy packet(FromHex(vector.before));
    const Ends ends(FamilyOf(packet));
    EXPECT_TRUE(RewriteIcmpError(View(packet), nullptr, ends.backend.data(), ends.FromBackend()));
    EXPECT_EQ(packet.bytes(), FromHex(vector.after));
  }
}

TEST(NatRewriteTest, QuotesBehindOptionsAndExtensionHeaders) {
  const Bytes udp = Udp(8);
  const Bytes first_fragment = {17, 0, 0, 1, 0, 0, 0, 9};
  const Bytes quote4 = Ipv4(17, 8, 9) + udp;
  const Bytes quote6 = Ipv6(44, 16) + first_fragment + udp;
  for (const bool v4 : {true, false}) {
    Bytes packet =
        v4 ? Ipv4(1, 8 + quote4.size()) + Icmp(3, 4) + quote4 : Ipv6(58, 8 + quote6.size()) + Icmp(2) + quote6;
    const size_t l4 = v4 ? 20 : 40;
    const uint8_t protocol = v4 ? kProtocolIcmp : kProtocolIcmpv6;
    Seal(&packet, l4, protocol);
    const ExactCopy copy(packet);
    const Ends ends(FamilyOf(copy));
    ASSERT_TRUE(RewriteIcmpError(View(copy), ends.local.data(), nullptr, ends.FromBackend()));
    EXPECT_EQ(copy.bytes(), Sealed(copy.bytes(), l4, protocol));
    const auto flow = ParseQuote(FamilyOf(copy), copy.data(), static_cast<uint32_t>(l4 + 8), copy.size());
    ASSERT_TRUE(flow);
    EXPECT_EQ(flow->source_port.Host(), 8080);
    EXPECT_EQ(flow->destination_port.Host(), 1025);
    EXPECT_EQ(IpAddress::FromBytes(FamilyOf(copy), copy.data() + flow->source_offset), ends.backend);
    EXPECT_EQ(IpAddress::FromBytes(FamilyOf(copy), copy.data() + flow->destination_offset), ends.local);
    EXPECT_EQ(IpAddress::FromBytes(FamilyOf(copy), copy.data() + (v4 ? 12 : 8)), ends.local);
  }
}

TEST(NatRewriteTest, AQuoteWithoutPortsStaysAsItIs) {
  Bytes packet = FromHex(oracle::kNatErrorUdpV4.before);
  packet.resize(packet.size() - 1);
  const ExactCopy copy(packet);
  const Ends ends(Family::kIpv4);
  EXPECT_FALSE(RewriteIcmpError(View(copy), ends.local.data(), ends.backend.data(), ends.FromBackend()));
  EXPECT_EQ(copy.bytes(), packet);
}

TEST(NatRewriteTest, Hops) {
  const ExactCopy v4(FromHex(oracle::kHopV4.before));
  EXPECT_TRUE(DecrementHopLimit(Family::kIpv4, v4.data()));
  EXPECT_EQ(v4.bytes(), FromHex(oracle::kHopV4.after));
  Bytes packet = Ipv6(17, 0);
  for (const uint8_t last : {uint8_t{1}, uint8_t{0}}) {
    packet[7] = last;
    const ExactCopy v6(packet);
    EXPECT_FALSE(DecrementHopLimit(Family::kIpv6, v6.data()));
    EXPECT_EQ(v6.bytes(), packet);
  }
  packet[7] = 2;
  const ExactCopy v6(packet);
  EXPECT_TRUE(DecrementHopLimit(Family::kIpv6, v6.data()));
  EXPECT_EQ(v6.data()[7], 1);
}

TEST(NatRewriteTest, EveryTtlKeepsTheHeaderChecksumRight) {
  for (int ttl = 255; ttl > 1; --ttl) {
    Bytes packet = Ipv4(6, 20) + Tcp(kTcpAck);
    packet[8] = static_cast<uint8_t>(ttl);
    Seal(&packet, 20, 6);
    const ExactCopy copy(packet);
    ASSERT_TRUE(DecrementHopLimit(Family::kIpv4, copy.data()));
    ASSERT_EQ(copy.bytes(), Sealed(copy.bytes(), 20, 6)) << ttl;
  }
}

TEST(NatRewriteTest, SequenceAndAcknowledgementWrap) {
  const ExactCopy sequence(FromHex(oracle::kSequence.before));
  ShiftSequence(sequence.data() + 20, 28);
  EXPECT_EQ(sequence.bytes(), FromHex(oracle::kSequence.after));
  const ExactCopy acknowledgement(FromHex(oracle::kAcknowledgement.before));
  ShiftAcknowledgement(acknowledgement.data() + 40, static_cast<uint32_t>(-28));
  EXPECT_EQ(acknowledgement.bytes(), FromHex(oracle::kAcknowledgement.after));
}

TEST(NatRewriteTest, CutPayload) {
  for (const PacketVector& vector : {oracle::kCutEvenV4, oracle::kCutOddV6}) {
    const ExactCopy packet(FromHex(vector.before));
    const Bytes expected = FromHex(vector.after);
    const auto size = static_cast<uint16_t>(packet.size() - expected.size());
    AccountForCutPayload(View(packet), packet.data() + expected.size(), size);
    EXPECT_EQ(Bytes(packet.data(), packet.data() + expected.size()), expected);
  }
}

TEST(NatRewriteTest, CutsOfEveryLengthAndPlace) {
  for (const bool v4 : {true, false}) {
    const size_t l4 = v4 ? 20 : 40;
    for (size_t payload = 0; payload < 12; ++payload) {
      for (size_t size = 0; size <= payload; ++size) {
        Bytes segment = Tcp(kTcpSyn);
        for (size_t i = 0; i < payload; ++i) segment.push_back(static_cast<uint8_t>(0x91 * (i + 1)));
        const Bytes packet = (v4 ? Ipv4(6, segment.size()) : Ipv6(6, segment.size())) + segment;
        const ExactCopy copy(Sealed(packet, l4, kProtocolTcp));
        AccountForCutPayload(View(copy), copy.data() + copy.size() - size, static_cast<uint16_t>(size));
        const Bytes left(copy.data(), copy.data() + copy.size() - size);
        EXPECT_EQ(left, Sealed(left, l4, kProtocolTcp)) << payload << " " << size;
        EXPECT_EQ(left[v4 ? 3 : 5], left.size() - (v4 ? 0 : 40));
      }
    }
  }
}

}  // namespace
}  // namespace sluice::net
