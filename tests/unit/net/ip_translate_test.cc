#include "dataplane/net/ip_translate.h"

#include <gtest/gtest.h>

#include <utility>

#include "dataplane/net/headers.h"
#include "tests/support/packet_vectors.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;

struct Translated {
  TranslateResult result;
  Bytes packet;  // header and what follows, when kDone
  Bytes source;  // what became of the original
};

constexpr uint16_t kId = 0x4321;

// Where L4, or a fragment's payload, begins, and the protocol there.
std::pair<uint32_t, uint8_t> FindL4(const Bytes& packet) {
  if (packet[0] >> 4 == 4) return {(packet[0] & 0x0fu) * 4, packet[9]};
  uint32_t at = 40;
  uint8_t next = packet[6];
  while (next == kProtocolHopByHop || next == kProtocolRouting || next == kProtocolDestinationOptions ||
         next == kProtocolFragment) {
    const uint32_t length = 8 + (next == kProtocolFragment ? 0 : packet[at + 1] * 8u);
    next = packet[at];
    at += length;
  }
  return {at, next};
}

// `reach`: how much of the L4 part the function may see; 0: all.
Translated Translate(const Bytes& packet, uint32_t reach = 0) {
  const ExactCopy copy(packet);
  const bool to_v6 = packet[0] >> 4 == 4;
  const IpAddress local = *IpAddress::Parse(to_v6 ? "2001:db8::5" : "192.0.2.5");
  const IpAddress backend = *IpAddress::Parse(to_v6 ? "2001:db8::11" : "192.0.2.11");
  const NatChange change = {local.data(), backend.data(), Be16::FromHost(1025), Be16::FromHost(8080)};
  const auto [l4, protocol] = FindL4(packet);
  const PacketBytes view = {to_v6 ? Family::kIpv4 : Family::kIpv6, protocol, copy.data(), copy.data() + l4,
                            reach == 0 ? copy.size() - l4 : reach};
  Bytes header(TranslatedHeaderSize(view));
  const TranslateResult result = to_v6 ? TranslateToV6(view, change, header.data())
                                       : TranslateToV4(view, change, Be16::FromHost(kId), header.data());
  return {result, header + Bytes(copy.data() + l4, copy.data() + copy.size()), copy.bytes()};
}

void ExpectRefused(const Bytes& packet, TranslateResult result, uint32_t reach = 0) {
  const Translated translated = Translate(packet, reach);
  EXPECT_EQ(translated.result, result);
  EXPECT_EQ(translated.source, packet);
}

TEST(IpTranslateTest, AgreesWithTheOracle) {
  for (const oracle::PacketVector& vector :
       {oracle::kTo6Tcp, oracle::kTo6Udp, oracle::kTo6UdpWithoutChecksum, oracle::kTo4Tcp, oracle::kTo4UdpLarge,
        oracle::kTo6FirstFragment, oracle::kTo6MiddleFragment, oracle::kTo6LastFragment, oracle::kTo4FirstFragment,
        oracle::kTo4MiddleFragment, oracle::kTo4LastFragment, oracle::kTo4Extensions, oracle::kTo4Atomic}) {
    const Translated translated = Translate(FromHex(vector.before));
    EXPECT_EQ(translated.result, TranslateResult::kDone);
    EXPECT_EQ(translated.packet, FromHex(vector.after));
  }
}

TEST(IpTranslateTest, TheNewHeaderMayOverlapTheOld) {
  const Bytes before = FromHex(oracle::kTo6Tcp.before);
  const ExactCopy copy(Bytes(16, 0) + before);
  const IpAddress local = *IpAddress::Parse("2001:db8::5");
  const IpAddress backend = *IpAddress::Parse("2001:db8::11");
  const uint32_t l4 = 16 + 24;
  ASSERT_EQ(TranslateToV6({Family::kIpv4, 6, copy.data() + 16, copy.data() + l4, copy.size() - l4},
                          {local.data(), backend.data(), Be16::FromHost(1025), Be16::FromHost(8080)}, copy.data()),
            TranslateResult::kDone);
  EXPECT_EQ(copy.bytes(), FromHex(oracle::kTo6Tcp.after));
}

TEST(IpTranslateTest, RefusedPacketsStayAsTheyAre) {
  const Bytes tcp = FromHex(oracle::kTo6Tcp.before);
  Bytes packet = tcp;
  packet[8] = 1;
  ExpectRefused(packet, TranslateResult::kNoHopLeft);
  ExpectRefused(tcp, TranslateResult::kUnsupported, 17);
  packet = tcp;
  packet[9] = kProtocolIcmp;
  ExpectRefused(packet, TranslateResult::kUnsupported);
  packet = FromHex(oracle::kTo4Tcp.before);
  packet[7] = 1;
  ExpectRefused(packet, TranslateResult::kNoHopLeft);
  packet = FromHex(oracle::kTo4Tcp.before);
  packet[4] = packet[5] = 0xff;
  ExpectRefused(packet, TranslateResult::kUnsupported);
}

// An IPv6 TCP packet, or a fragment of one, behind `chain`, whose first header is of type `first`.
Bytes Extended(uint8_t first, const char* chain) {
  const Bytes headers = FromHex(chain);
  return Ipv6(first, headers.size() + 20) + headers + Tcp(kTcpAck);
}

TEST(IpTranslateTest, RoutesWithStationsToComeAreFound) {
  const auto find = [](const Bytes& packet, uint32_t l4_offset) {
    const ExactCopy copy(packet);
    const Family family = packet[0] >> 4 == 4 ? Family::kIpv4 : Family::kIpv6;
    return FindOpenRoute(
        {family, kProtocolTcp, copy.data(), copy.data() + l4_offset, static_cast<uint32_t>(packet.size()) - l4_offset});
  };
  EXPECT_EQ(find(Extended(43, "0600 0001 00000000"), 48), 43u);
  EXPECT_EQ(find(Extended(60, "2b00 0104 00000000 0600 0002 00000000"), 56), 51u);
  EXPECT_EQ(find(Extended(43, "0600 0000 00000000"), 48), std::nullopt);
  const Bytes plain = FromHex(oracle::kTo6UdpWithoutChecksum.before);
  EXPECT_EQ(find(plain, 20), std::nullopt);
  Bytes routed(plain.begin(), plain.begin() + 20);
  routed[0] = 0x47;
  const Bytes option = FromHex("01 83 07 04 c000024d");  // a byte of padding first
  EXPECT_EQ(find(routed + option + Bytes(20, 0), 28), 23u);
  const Bytes walked = FromHex("83 07 08 c000024d 00");
  EXPECT_EQ(find(routed + walked + Bytes(20, 0), 28), std::nullopt);
}

TEST(IpTranslateTest, ExtensionHeadersThatCannotBeIgnored) {
  EXPECT_EQ(Translate(Extended(60, "0600 0104 00000000")).result, TranslateResult::kDone);
  EXPECT_EQ(Translate(Extended(43, "0600 0000 00000000")).result, TranslateResult::kDone);
  ExpectRefused(Extended(43, "0600 0001 00000000"), TranslateResult::kUnsupported);  // one station is to come
  ExpectRefused(Extended(44, "3c00 0001 00000007 0600 0104 00000000"), TranslateResult::kUnsupported);
  // Behind the fixed header, where the walk expects them, these are cut, too long, or of another type.
  for (const auto& [first, chain] :
       {std::pair{60, "0600 0104"}, {60, "0601 0104 00000000"}, {51, "0600 0104 00000000"}}) {
    const Bytes packet = Extended(static_cast<uint8_t>(first), chain);
    const ExactCopy copy(packet);
    const uint32_t l4 = static_cast<uint32_t>(packet.size()) - 20;
    const IpAddress address = *IpAddress::Parse("192.0.2.5");
    Bytes header(20);
    EXPECT_EQ(TranslateToV4({Family::kIpv6, 6, copy.data(), copy.data() + l4, 20},
                            {address.data(), address.data(), {}, {}}, {}, header.data()),
              TranslateResult::kUnsupported);
    EXPECT_EQ(copy.bytes(), packet);
  }
}

TEST(IpTranslateTest, FragmentsThatCannotBeTranslated) {
  Bytes packet = FromHex(oracle::kTo6FirstFragment.before);
  packet[26] = packet[27] = 0;  // without a checksum, which is over all of the datagram
  ExpectRefused(packet, TranslateResult::kUnsupported);
  packet = FromHex(oracle::kTo6MiddleFragment.before);
  packet[9] = kProtocolIcmp;
  ExpectRefused(packet, TranslateResult::kUnsupported);
  // 65520 + 17 + 20 is more than an IPv4 packet has; in IPv6 the header is not counted.
  packet = FromHex(oracle::kTo4LastFragment.before);
  packet[42] = 0xff;
  packet[43] = 0xf0;
  ExpectRefused(packet, TranslateResult::kUnsupported);
  packet[43] = 0xe0;
  packet[42] = 0xf0;
  EXPECT_EQ(Translate(packet).result, TranslateResult::kDone);
}

TEST(IpTranslateTest, TheChecksumThatWasLeftOutIsCompleted) {
  const Bytes before = FromHex(oracle::kTo6UdpWithoutChecksum.before);
  const auto complete = [](const Bytes& packet, uint32_t bytes) {
    const ExactCopy copy(packet);
    const TranslateResult result =
        CompleteUdpChecksum({Family::kIpv4, packet[9], copy.data(), copy.data() + 20, bytes});
    return std::pair(result, copy.bytes());
  };
  const auto l4_bytes = static_cast<uint32_t>(before.size()) - 20;
  Bytes sealed = before;
  sealed[26] = 1;
  sealed = Sealed(sealed, 20, kProtocolUdp);
  EXPECT_EQ(complete(before, l4_bytes), std::pair(TranslateResult::kDone, sealed));
  EXPECT_EQ(complete(sealed, l4_bytes), std::pair(TranslateResult::kDone, sealed));
  EXPECT_EQ(complete(before, l4_bytes - 1), std::pair(TranslateResult::kNotContiguous, before));
}

TEST(IpTranslateTest, UpTo1260BytesMayBeFragmented) {
  for (const size_t total : {1260u, 1261u}) {
    const Bytes datagram = Udp(total - 20) + Bytes(total - 28, 7);
    const Bytes v4 = Translate(Sealed(Ipv6(17, datagram.size()) + datagram, 40, kProtocolUdp)).packet;
    ASSERT_EQ(v4.size(), total);
    EXPECT_EQ(v4[4] << 8 | v4[5], total == 1260 ? kId : 0);
    EXPECT_EQ(v4[6], total == 1260 ? 0 : 0x40);
  }
}

TEST(IpTranslateTest, SourceRoutes) {
  for (const char* open : {"83 07 04 01020304 00", "01 89 07 04 01020304"}) {
    Bytes packet = Ipv4(6, 20, 7) + Tcp(kTcpAck);
    const Bytes option = FromHex(open);
    std::copy(option.begin(), option.end(), packet.begin() + 20);
    ExpectRefused(packet, TranslateResult::kUnsupported);
    packet[20 + (option[0] == 1 ? 3 : 2)] = 7;
    ExpectRefused(packet, TranslateResult::kUnsupported);
    // Behind its last address it is history.
    packet[20 + (option[0] == 1 ? 3 : 2)] = 8;
    EXPECT_EQ(Translate(packet).result, TranslateResult::kDone);
  }
}

TEST(IpTranslateTest, UdpWithoutChecksumMustBeInReach) {
  const Bytes packet = FromHex(oracle::kTo6UdpWithoutChecksum.before);
  ExpectRefused(packet, TranslateResult::kNotContiguous, static_cast<uint32_t>(packet.size()) - 20 - 1);
  Bytes lies = packet;
  lies[25] = 7;
  ExpectRefused(lies, TranslateResult::kUnsupported);
}

TEST(IpTranslateTest, AChecksumOfZeroIsWrittenAsOnes) {
  // The last two payload bytes are chosen so that the sum comes out as zero.
  Bytes udp = FromHex(oracle::kTo6UdpWithoutChecksum.before);
  udp[3] = static_cast<uint8_t>(udp[3] + 1);
  udp[25] = static_cast<uint8_t>(udp[25] + 1);
  udp.back() = 0;
  udp.push_back(0);
  const Bytes probe = Translate(udp).packet;
  udp[udp.size() - 2] = probe[46];
  udp[udp.size() - 1] = probe[47];
  const Translated translated = Translate(udp);
  EXPECT_EQ(translated.packet[46], 0xff);
  EXPECT_EQ(translated.packet[47], 0xff);
  EXPECT_EQ(translated.packet, Sealed(translated.packet, 40, kProtocolUdp));
}

}  // namespace
}  // namespace sluice::net
