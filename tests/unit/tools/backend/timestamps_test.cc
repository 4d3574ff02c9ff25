// Cookies in timestamps: the programs in the kernel against the oracle's vectors, which the director's code is held to
// as well (tests/unit/lb/oracle_test.cc).

#include <linux/pkt_cls.h>

#include <map>

#include "tests/support/oracle_vectors.h"
#include "tests/unit/tools/backend/program_fixture.h"

namespace sluice::backend::test {
namespace {

Bytes Word32(uint32_t v) {
  return {static_cast<uint8_t>(v >> 24), static_cast<uint8_t>(v >> 16), static_cast<uint8_t>(v >> 8),
          static_cast<uint8_t>(v)};
}

// NOP, NOP, timestamps, as stacks write them; `before` moves the option.
Bytes Timestamps(uint32_t value, uint32_t echo, const Bytes& before = {1, 1}) {
  Bytes options = before + Bytes{8, 10} + Word32(value) + Word32(echo);
  while (options.size() % 4 != 0) options.push_back(1);
  return options;
}

class TimestampsTest : public ProgramTest {
 protected:
  // A connection of a VIP at port 80 with a client at 40000.
  void UseRule(const lb::CookieLayout& layout, uint32_t backend) {
    Options options;
    options.cookies.keys = {{.number = 0, .file = "", .secret = {1, 2, 3}}};
    options.cookies.vips = {{.vip = *net::IpAddress::Parse(kVip4), .port = 80, .backend = backend, .layout = layout}};
    Fill(options);
  }
  static Bytes FromVip(uint8_t flags, const Bytes& options) {
    Bytes packet = Ip(kVip4, kClient4, 6, Tcp(flags, options));
    SetTcpChecksum(&packet);
    return packet;
  }
  static Bytes FromClient(uint8_t flags, const Bytes& options) {
    Bytes packet = Ip(kClient4, kVip4, 6, Tcp(flags, options, 40000, 80));
    SetTcpChecksum(&packet);
    return packet;
  }
  Bytes Send(const Bytes& packet) { return Inner(Egress(Frame(packet))); }
  Bytes Receive(const Bytes& packet) { return Inner(Ingress(Frame(packet))); }
  // The timestamp that the client sees for this one.
  uint32_t Wire(uint8_t flags, uint32_t timestamp) {
    const Bytes sent = Send(FromVip(flags, Timestamps(timestamp, 5)));
    EXPECT_TRUE(TcpChecksumIsRight(sent));
    return At(sent, 44);
  }
  // What the kernel gets for the echo.
  uint32_t Echo(uint32_t wire) {
    const Bytes received = Receive(FromClient(kAck, Timestamps(77, wire)));
    EXPECT_TRUE(TcpChecksumIsRight(received));
    EXPECT_EQ(At(received, 44), 77u);
    return At(received, 48);
  }
  static uint32_t At(const Bytes& packet, size_t at) {
    return uint32_t{packet.at(at)} << 24 | uint32_t{packet.at(at + 1)} << 16 | uint32_t{packet.at(at + 2)} << 8 |
           packet.at(at + 3);
  }

 private:
  static Bytes Inner(const Outcome& outcome) {
    EXPECT_EQ(outcome.verdict, TC_ACT_UNSPEC);
    return Bytes(outcome.frame.begin() + 14, outcome.frame.end());
  }
};

TEST_F(TimestampsTest, OraclesVectors) {
  for (const auto& v : oracle::kCookie) {
    SCOPED_TRACE(v.client);
    const lb::CookieLayout layout = {.key_bits = v.key_bits,
                                     .tier_bits = v.tier_bits,
                                     .backend_bits = v.backend_bits,
                                     .check_bits = v.check_bits,
                                     .clock_bits = v.clock_bits};
    Options options;
    options.cookies.keys = {{.number = v.key_number, .file = "", .secret = v.secret}};
    options.cookies.vips = {{.vip = *net::IpAddress::Parse(v.vip),
                             .port = 0,
                             .backend = v.backend,
                             .tier = v.tier,
                             .key = v.key_number,
                             .layout = layout}};
    Fill(options);
    const std::string client(v.client);
    const std::string vip(v.vip);
    const size_t tcp_at = client.find(':') == std::string::npos ? 20 : 40;
    Bytes syn_ack = Ip(vip, client, 6, Tcp(kSynAck, Timestamps(v.timestamp, 9), v.vip_port, v.client_port));
    SetTcpChecksum(&syn_ack);
    const Bytes sent = Send(syn_ack);
    EXPECT_EQ(At(sent, tcp_at + 24), v.wire);
    EXPECT_EQ(At(sent, tcp_at + 28), 9u);
    EXPECT_TRUE(TcpChecksumIsRight(sent));
    Bytes ack = Ip(client, vip, 6, Tcp(kAck, Timestamps(10, v.wire), v.client_port, v.vip_port));
    SetTcpChecksum(&ack);
    const Bytes received = Receive(ack);
    EXPECT_EQ(At(received, tcp_at + 24), 10u);
    EXPECT_EQ(At(received, tcp_at + 28), v.timestamp);
    EXPECT_TRUE(TcpChecksumIsRight(received));
  }
  EXPECT_EQ(Counted(kCookiesMade), oracle::kCookie.size());
  EXPECT_EQ(Counted(kCookieEchoes), oracle::kCookie.size());
  EXPECT_EQ(Counted(kCookieForeign), 0u);
}

TEST_F(TimestampsTest, AWholeConnectionIsRestoredExactlyWithMillisecondTicks) {
  UseRule({.backend_bits = 7}, 5);
  uint32_t now = 0xffff'ff00;  // wraps on the way
  const uint32_t first = Wire(kSynAck, now);
  EXPECT_EQ(Echo(first), now);
  for (int i = 0; i < 300; ++i) {
    now += static_cast<uint32_t>(i);
    const uint32_t wire = Wire(kAck, now);
    EXPECT_EQ(wire & 0xff, first & 0xff);
    EXPECT_EQ(Echo(wire), now);
  }
}

TEST_F(TimestampsTest, CoarseTicksGiveTheFirstTimestampOfTheirs) {
  UseRule({.backend_bits = 13, .clock_bits = 6}, 5);
  const uint32_t start = 0x1234'5603;
  const uint32_t syn_ack = Wire(kSynAck, start);
  // SYN cookies keep the options in the lowest six bits: they come back exactly.
  EXPECT_EQ(Echo(syn_ack), start);
  std::map<uint32_t, uint32_t> first_of;
  first_of[syn_ack] = start;
  uint32_t latest_wire = syn_ack;
  for (uint32_t i = 1; i < 600; ++i) {
    const uint32_t now = start + i;
    latest_wire = Wire(kAck, now);
    first_of.emplace(latest_wire, now);
    // The echo of a packet some time ago; never later than the truth, never more than a tick before.
    const uint32_t echoed = Echo(latest_wire);
    EXPECT_EQ(echoed, first_of[latest_wire]);
    EXPECT_LT(now - echoed, 64u);
  }
  // Ticks of the past, too; forgotten ones at their beginning.
  EXPECT_EQ(Echo(std::prev(first_of.end(), 3)->first), std::prev(first_of.end(), 3)->second);
  EXPECT_EQ(first_of.size(), 10u);
  EXPECT_EQ(Echo(syn_ack), start & ~63u);
}

TEST_F(TimestampsTest, AfterALongIdleTime) {
  UseRule({.backend_bits = 13, .clock_bits = 6}, 5);
  const uint32_t before = Wire(kSynAck, 1000);
  EXPECT_EQ(Echo(before), 1000u);
  // Two hours later the server speaks first, and the client's answer still echoes the old one.
  const uint32_t after = Wire(kAck, 1000 + 7'200'000);
  EXPECT_GT(static_cast<int32_t>(after - before), 0);
  EXPECT_EQ(Echo(before), 1000u);
  EXPECT_EQ(Echo(after), 7'201'000u);
}

TEST_F(TimestampsTest, OptionsAtOddOffsetsAndAmongOthers) {
  UseRule({.backend_bits = 7}, 5);
  for (const Bytes& before : {Bytes{}, Bytes{1}, Bytes{2, 4, 5, 180}, Bytes{2, 4, 5, 180, 4, 2}, Bytes{3, 3, 7}}) {
    const Bytes sent = Send(FromVip(kSynAck, Timestamps(123456, 0, before)));
    EXPECT_TRUE(TcpChecksumIsRight(sent));
    const uint32_t wire = At(sent, 42 + before.size());
    EXPECT_EQ(wire >> 8, 123456u & 0xff'ffff);
    const Bytes received = Receive(FromClient(kAck, Timestamps(1, wire, before)));
    EXPECT_TRUE(TcpChecksumIsRight(received));
    EXPECT_EQ(At(received, 46 + before.size()), 123456u);
  }
}

TEST_F(TimestampsTest, RetransmittedSynAcksKeepTheirCookie) {
  UseRule({.backend_bits = 7}, 5);
  const uint32_t first = Wire(kSynAck, 1000);
  const uint32_t again = Wire(kSynAck, 2000);
  EXPECT_EQ(again & 0xff, first & 0xff);
  EXPECT_EQ(Counted(kCookiesMade), 1u);
  EXPECT_EQ(Echo(first), 1000u);
  EXPECT_EQ(Echo(again), 2000u);
  // The same addresses and ports again: another connection.
  EXPECT_EQ(Wire(kSynAck, 9000) & 0xff, first & 0xff);
  EXPECT_EQ(Counted(kCookiesMade), 2u);
  EXPECT_EQ(Echo(9000 << 8 | (first & 0xff)), 9000u);
}

TEST_F(TimestampsTest, WhatIsLeftAlone) {
  UseRule({.backend_bits = 7}, 5);
  // A connection from before the agent's time; one without timestamps; another port; a SYN.
  EXPECT_EQ(Wire(kAck, 1234), 1234u);
  EXPECT_EQ(Send(FromVip(kSynAck, {2, 4, 5, 180})), FromVip(kSynAck, {2, 4, 5, 180}));
  Bytes other = Ip(kVip4, kClient4, 6, Tcp(kSynAck, Timestamps(1, 2), 81, 40000));
  SetTcpChecksum(&other);
  EXPECT_EQ(Send(other), other);
  EXPECT_EQ(Receive(FromClient(kSyn, Timestamps(7, 0))), FromClient(kSyn, Timestamps(7, 0)));
  // A connection that the backend itself begins.
  EXPECT_EQ(Wire(kSyn, 1234), 1234u);
  EXPECT_EQ(AllCounted(), "");
  // An echo that is none.
  const uint32_t wire = Wire(kSynAck, 1000);
  EXPECT_EQ(Echo(wire ^ 1), wire ^ 1);
  EXPECT_EQ(Counted(kCookieForeign), 1u);
}

TEST_F(TimestampsTest, ConnectionsThatBeganStayWhenTheRuleGoes) {
  UseRule({.backend_bits = 7}, 5);
  const uint32_t wire = Wire(kSynAck, 1000);
  EXPECT_EQ(Echo(wire), 1000u);
  // A new layout is for new connections.
  UseRule({.backend_bits = 9, .clock_bits = 3}, 5);
  EXPECT_EQ(Wire(kAck, 1001), (1001 << 8 | (wire & 0xff)));
  EXPECT_EQ(Echo(1001 << 8 | (wire & 0xff)), 1001u);
}

TEST_F(TimestampsTest, AHandshakeThatNeverEndedLeavesNoOldId) {
  UseRule({.backend_bits = 7}, 5);
  const uint32_t old_wire = Wire(kSynAck, 1000);
  UseRule({.backend_bits = 7}, 6);
  const uint32_t wire = Wire(kSynAck, 2000);
  EXPECT_NE(wire & 0xff, old_wire & 0xff);
  EXPECT_EQ(Echo(wire), 2000u);
}

// A VIP whose director chooses the cookies.
class TakenCookiesTest : public TimestampsTest {
 protected:
  void UseStatefulRule() {
    Options options;
    options.cookies.vips = {
        {.vip = *net::IpAddress::Parse(kVip4), .port = 80, .stateful = true, .layout = StatefulLayout()}};
    Fill(options);
  }
  // The sequence number of the SYN that Wire's packets acknowledge.
  static constexpr uint32_t kAcknowledged = 0x0506'0707;

  // A SYN with this TSecr, whose sequence number is `number`; what the kernel gets.
  Bytes Syn(uint32_t number, uint32_t echo, const Bytes& before = {2, 4, 5, 180, 4, 2}) {
    return Receive(Numbered(number, Timestamps(77, echo, before)));
  }
  static Bytes Numbered(uint32_t number, const Bytes& options) {
    Bytes tcp = Tcp(kSyn, options, 40000, 80);
    const Bytes word = Word32(number);
    std::copy(word.begin(), word.end(), tcp.begin() + 4);
    Bytes packet = Ip(kClient4, kVip4, 6, tcp);
    SetTcpChecksum(&packet);
    return packet;
  }
};

TEST_F(TakenCookiesTest, TheKernelSeesTheSynAsItWasAndTheClientTheCookie) {
  UseStatefulRule();
  const Bytes options = {2, 4, 5, 180, 4, 2};
  EXPECT_EQ(Syn(kAcknowledged, lb::SynEcho(0xa7), options), Numbered(kAcknowledged, Timestamps(77, 0, options)));
  const uint32_t wire = Wire(kSynAck, 0x0123'4567);
  EXPECT_EQ(wire, 0x2345'67a7u);
  EXPECT_EQ(Echo(wire), 0x0123'4567u);
  EXPECT_EQ(Wire(kAck, 0x0123'4600), 0x2346'00a7u);
  // The kernel had no room for the connection, and answers its SYN again.
  EXPECT_EQ(Wire(kSynAck, 0x0123'4700), 0x2347'00a7u);
  EXPECT_EQ(Counted(kCookiesTaken), 1u);
  EXPECT_EQ(Counted(kCookiesMade), 0u);
  EXPECT_EQ(Counted(kCookieEchoes), 1u);
}

TEST_F(TakenCookiesTest, ASynThatIsSentAgainKeepsTheFirstCookie) {
  UseStatefulRule();
  Syn(1000, lb::SynEcho(1));
  const uint32_t first = Wire(kSynAck, 100);
  // The director gave the second one another slot; the client may have the first SYN-ACK.
  EXPECT_EQ(Syn(1000, lb::SynEcho(2)), Numbered(1000, Timestamps(77, 0, {2, 4, 5, 180, 4, 2})));
  EXPECT_EQ(Wire(kSynAck, 200) & 0xff, 1u);
  EXPECT_EQ(Echo(first), 100u);
  // Another connection of the same addresses and ports.
  Syn(5000, lb::SynEcho(3));
  EXPECT_EQ(Wire(kAck, 300) & 0xff, 1u) << "the old one lives until the kernel answers the SYN";
  EXPECT_EQ(Wire(kSynAck, 400) & 0xff, 3u);
  EXPECT_EQ(Wire(kAck, 500) & 0xff, 3u);
}

TEST_F(TakenCookiesTest, WithoutACookieNothingIsChanged) {
  UseStatefulRule();
  Syn(1, lb::SynEcho(1));
  // A handshake that never ended, then one that the director had no slot for.
  for (const uint32_t echo : {0u, 0x5d00'0001u, 1u}) {
    const Bytes plain = Numbered(2, Timestamps(77, echo));
    EXPECT_EQ(Receive(plain), plain);
  }
  EXPECT_EQ(Wire(kSynAck, 1234), 1234u);
  EXPECT_EQ(Echo(1234), 1234u);
  const Bytes no_timestamps = Numbered(3, {2, 4, 5, 180});
  EXPECT_EQ(Receive(no_timestamps), no_timestamps);
  EXPECT_EQ(Counted(kCookiesTaken), 1u);
  EXPECT_EQ(Counted(kCookieEchoes), 0u);
}

TEST_F(TakenCookiesTest, OtherVipsTakeNone) {
  UseRule({.backend_bits = 7}, 5);
  const Bytes syn = Numbered(1, Timestamps(77, lb::SynEcho(9)));
  EXPECT_EQ(Receive(syn), syn);
  EXPECT_EQ(AllCounted(), "");
}

// A VIP behind two tiers: cookies have the id of the director that brought the SYN.
class TieredCookiesTest : public TakenCookiesTest {
 protected:
  static constexpr lb::CookieLayout kTiered = {.tier_bits = 3, .backend_bits = 7, .check_bits = 2, .clock_bits = 4};
  static inline const Bytes kOptions = {2, 4, 5, 180, 4, 2};

  void UseTier(uint32_t tier) {
    Options options;
    options.cookies.keys = {{.number = 0, .file = "", .secret = {1, 2, 3}}};
    options.cookies.vips = {
        {.vip = *net::IpAddress::Parse(kVip4), .port = 80, .backend = 99, .tier = tier, .layout = kTiered}};
    Fill(options);
  }
  // What the client finds in the timestamp that it sees.
  static lb::CookieFields Said(uint32_t wire) {
    lb::CookieKeys keys;
    keys.Set(0, {1, 2, 3});
    const net::IpAddress client = *net::IpAddress::Parse(kClient4);
    const net::IpAddress vip = *net::IpAddress::Parse(kVip4);
    const lb::FlowTuple tuple = {client.data(),      vip.data(), Be16::FromHost(40000),
                                 Be16::FromHost(80), 6,          net::Family::kIpv4};
    const auto said = lb::DecodeCookie(kTiered, keys, tuple, lb::CookieOf(kTiered, wire));
    EXPECT_TRUE(said);
    return said.value_or(lb::CookieFields());
  }
};

TEST_F(TieredCookiesTest, TheDirectorsIdIsInTheCookieAndTheKernelSeesNothing) {
  UseTier(1);
  EXPECT_EQ(Syn(kAcknowledged, lb::SynTier(6), kOptions), Numbered(kAcknowledged, Timestamps(77, 0, kOptions)));
  const uint32_t wire = Wire(kSynAck, 0x1000);
  EXPECT_EQ(Said(wire).tier, 6u);
  EXPECT_EQ(Said(wire).backend, 99u);
  EXPECT_EQ(Echo(wire), 0x1000u);
  EXPECT_EQ(Said(Wire(kAck, 0x2000)).tier, 6u);
  // The kernel had no room for the connection, and answers its SYN again.
  EXPECT_EQ(Said(Wire(kSynAck, 0x3000)).tier, 6u);
  EXPECT_EQ(Counted(kCookiesMade), 1u);
  EXPECT_EQ(Counted(kCookiesTaken), 1u);
}

TEST_F(TieredCookiesTest, ASynThatComesByAnotherDirectorKeepsTheFirstOnesId) {
  UseTier(1);
  Syn(1, lb::SynTier(6));
  const uint32_t first = Wire(kSynAck, 0x1000);
  EXPECT_EQ(Syn(1, lb::SynTier(2), kOptions), Numbered(1, Timestamps(77, 0, kOptions)));
  EXPECT_EQ(Said(Wire(kSynAck, 0x2000)).tier, 6u);
  EXPECT_EQ(Echo(first), 0x1000u);
  // Another connection of the same addresses and ports; the old one lives until the kernel answers.
  Syn(2, lb::SynTier(2));
  EXPECT_EQ(Said(Wire(kAck, 0x3000)).tier, 6u);
  EXPECT_EQ(Said(Wire(kSynAck, 0x4000)).tier, 2u);
  EXPECT_EQ(Said(Wire(kAck, 0x5000)).tier, 2u);
}

TEST_F(TieredCookiesTest, WithoutAWordTheRulesOwnIdCounts) {
  UseTier(5);
  for (const uint32_t echo : {0u, lb::SynEcho(2), 7u}) {
    const Bytes syn = Numbered(10 + echo, Timestamps(77, echo));
    EXPECT_EQ(Receive(syn), syn);
    EXPECT_EQ(Said(Wire(kSynAck, 0x1000)).tier, 5u);
  }
  EXPECT_EQ(Counted(kCookiesTaken), 0u);
  const Bytes no_timestamps = Numbered(3, {2, 4, 5, 180});
  EXPECT_EQ(Receive(no_timestamps), no_timestamps);
}

TEST_F(TieredCookiesTest, IdsThatDoNotFitAreCut) {
  UseTier(0);
  Syn(1, lb::SynTier(0xff));
  EXPECT_EQ(Said(Wire(kSynAck, 0x1000)).tier, 7u);
  EXPECT_EQ(Said(Wire(kSynAck, 0x1000)).backend, 99u);
}

TEST_F(TimestampsTest, OutOfATunnel) {
  UseRule({.backend_bits = 7}, 5);
  const uint32_t wire = Wire(kSynAck, 1000);
  const Bytes ack = FromClient(kAck, Timestamps(77, wire));
  const Outcome outcome = Ingress(Frame(Tunnel(kTunnelGue, kDirector6, kOwn6, ack)));
  EXPECT_EQ(outcome.frame, Frame(FromClient(kAck, Timestamps(77, 1000))));
}

}  // namespace
}  // namespace sluice::backend::test
