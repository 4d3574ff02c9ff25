#include "dataplane/net/ip_translate.h"

#include <gtest/gtest.h>

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

// `reach`: how much of the L4 part the function may see; 0: all.
Translated Translate(const Bytes& packet, uint32_t reach = 0) {
  const ExactCopy copy(packet);
  const bool to_v6 = packet[0] >> 4 == 4;
  const IpAddress local = *IpAddress::Parse(to_v6 ? "2001:db8::5" : "192.0.2.5");
  const IpAddress backend = *IpAddress::Parse(to_v6 ? "2001:db8::11" : "192.0.2.11");
  const NatChange change = {local.data(), backend.data(), Be16::FromHost(1025), Be16::FromHost(8080)};
  const uint32_t l4 = to_v6 ? (packet[0] & 0x0fu) * 4 : 40;
  const PacketBytes view = {to_v6 ? Family::kIpv4 : Family::kIpv6, packet[to_v6 ? 9 : 6], copy.data(), copy.data() + l4,
                            reach == 0 ? copy.size() - l4 : reach};
  Bytes header(to_v6 ? 40 : 20);
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
       {oracle::kTo6Tcp, oracle::kTo6Udp, oracle::kTo6UdpWithoutChecksum, oracle::kTo4Tcp, oracle::kTo4UdpLarge}) {
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
  packet = tcp;
  packet[7] = 1;
  ExpectRefused(packet, TranslateResult::kUnsupported);
  packet[7] = 0;
  packet[6] = 0x20;
  ExpectRefused(packet, TranslateResult::kUnsupported);
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

TEST(IpTranslateTest, ExtensionHeadersAreRefused) {
  const Bytes segment = Bytes{6, 0, 0, 0, 0, 0, 0, 0} + Tcp(kTcpAck);
  const Bytes packet = Sealed(Ipv6(60, segment.size()) + segment, 48, kProtocolTcp);
  const ExactCopy copy(packet);
  const IpAddress address = *IpAddress::Parse("192.0.2.5");
  Bytes header(20);
  EXPECT_EQ(TranslateToV4({Family::kIpv6, 6, copy.data(), copy.data() + 48, 20},
                          {address.data(), address.data(), {}, {}}, {}, header.data()),
            TranslateResult::kUnsupported);
  EXPECT_EQ(copy.bytes(), packet);
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
