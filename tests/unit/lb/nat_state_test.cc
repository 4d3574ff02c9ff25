#include "dataplane/lb/nat_state.h"

#include <gtest/gtest.h>

#include "dataplane/lb/nat_proxy.h"
#include "dataplane/net/headers.h"

namespace sluice::lb {
namespace {

constexpr uint8_t kSyn = net::kTcpSyn;
constexpr uint8_t kAck = net::kTcpAck;
constexpr uint8_t kFin = net::kTcpFin;
constexpr uint8_t kRst = net::kTcpRst;
constexpr uint32_t kClientIsn = 0xffff'fff0;  // numbers wrap soon
constexpr uint32_t kBackendIsn = 7'000'000;
constexpr FlowTimeouts kTimeouts = {
    .tcp_syn_s = 10, .tcp_established_s = 1000, .tcp_closing_s = 20, .tcp_reset_s = 5, .udp_s = 60};

// A connection with both sides' numbers.
struct Connection {
  NatTracking tracking;
  uint32_t client_next = kClientIsn + 1;
  uint32_t backend_next = kBackendIsn + 1;
  uint32_t now_s = 100;

  void Syn() { BeginTcp(tracking, {.flags = kSyn, .sequence = kClientIsn}, now_s); }
  void Client(uint8_t flags) {
    NoteClientSegment(tracking, {.flags = flags, .sequence = client_next, .acknowledgement = backend_next}, now_s);
    if ((flags & kFin) != 0) ++client_next;
  }
  void Backend(uint8_t flags) {
    NoteBackendSegment(tracking, {.flags = flags, .sequence = backend_next, .acknowledgement = client_next}, now_s);
    if ((flags & kFin) != 0) ++backend_next;
  }
  void SynAck() {
    NoteBackendSegment(tracking, {.flags = kSyn | kAck, .sequence = kBackendIsn, .acknowledgement = kClientIsn + 1},
                       now_s);
  }
  void Establish() {
    Syn();
    SynAck();
    Client(kAck);
  }
  uint32_t Timeout() const { return TimeoutOf(tracking, kTimeouts); }
};

TEST(NatStateTest, AConnectionFromSynToBothFins) {
  Connection c;
  c.Syn();
  EXPECT_EQ(c.tracking.state, NatState::kSynSent);
  EXPECT_EQ(c.Timeout(), 10u);
  c.SynAck();
  EXPECT_EQ(c.tracking.state, NatState::kSynReceived);
  EXPECT_FALSE(c.tracking.confirmed);
  EXPECT_EQ(c.Timeout(), 10u);
  c.Client(kAck);
  EXPECT_EQ(c.tracking.state, NatState::kEstablished);
  EXPECT_TRUE(c.tracking.confirmed);
  EXPECT_EQ(c.Timeout(), 1000u);
  c.Client(kFin | kAck);
  EXPECT_EQ(c.tracking.state, NatState::kClientClosing);
  EXPECT_EQ(c.Timeout(), 1000u);  // the backend may still send, or be silent, for long
  c.Backend(kAck);
  EXPECT_EQ(c.tracking.state, NatState::kClientClosing);
  c.Backend(kFin | kAck);
  EXPECT_EQ(c.tracking.state, NatState::kClosed);
  EXPECT_EQ(c.Timeout(), 20u);
  c.Client(kAck);
  EXPECT_EQ(c.tracking.state, NatState::kClosed);
}

TEST(NatStateTest, TheBackendMayCloseFirst) {
  Connection c;
  c.Establish();
  c.Backend(kFin | kAck);
  EXPECT_EQ(c.tracking.state, NatState::kBackendClosing);
  c.Client(kFin | kAck);
  EXPECT_EQ(c.tracking.state, NatState::kClosed);
}

TEST(NatStateTest, OnlyAnAcknowledgementOfTheBackendsSynConfirms) {
  Connection c;
  c.Syn();
  c.Client(kAck);  // nothing was answered yet
  EXPECT_FALSE(c.tracking.confirmed);
  c.SynAck();
  NoteClientSegment(c.tracking, {.flags = kAck, .sequence = kClientIsn + 1, .acknowledgement = kBackendIsn}, 100);
  NoteClientSegment(c.tracking, {.flags = kAck, .sequence = kClientIsn + 1, .acknowledgement = kBackendIsn + 70'000},
                    100);
  NoteClientSegment(c.tracking, {.flags = kRst | kAck, .sequence = 500'000, .acknowledgement = kBackendIsn + 1}, 100);
  EXPECT_FALSE(c.tracking.confirmed);
  EXPECT_EQ(c.tracking.state, NatState::kSynReceived);
  c.Client(kAck);
  EXPECT_TRUE(c.tracking.confirmed);
}

TEST(NatStateTest, AResetIsBelievedWhereItsNumberFits) {
  Connection c;
  c.Establish();
  c.Backend(kAck);
  NoteClientSegment(c.tracking, {.flags = kRst, .sequence = c.client_next + 100'000}, 100);
  NoteClientSegment(c.tracking, {.flags = kRst, .sequence = c.client_next - 100}, 100);
  EXPECT_EQ(c.tracking.state, NatState::kEstablished);
  NoteBackendSegment(c.tracking, {.flags = kRst, .sequence = c.backend_next + 100'000}, 100);
  EXPECT_EQ(c.tracking.state, NatState::kEstablished);
  c.Client(kRst);
  EXPECT_EQ(c.tracking.state, NatState::kClientReset);
  EXPECT_EQ(c.Timeout(), 5u);
  c.Backend(kAck);  // was on its way
  EXPECT_EQ(c.tracking.state, NatState::kClientReset);
  c.Client(kAck);  // who sends on has sent no RST
  EXPECT_EQ(c.tracking.state, NatState::kEstablished);
  c.Backend(kRst);
  EXPECT_EQ(c.tracking.state, NatState::kBackendReset);
  c.Client(kAck);
  EXPECT_EQ(c.tracking.state, NatState::kBackendReset);
}

TEST(NatStateTest, ARefusedSyn) {
  Connection c;
  c.Syn();
  NoteBackendSegment(c.tracking, {.flags = kRst | kAck, .sequence = 0, .acknowledgement = kClientIsn + 2}, 100);
  EXPECT_EQ(c.tracking.state, NatState::kSynSent);
  NoteBackendSegment(c.tracking, {.flags = kRst | kAck, .sequence = 0, .acknowledgement = kClientIsn + 1}, 100);
  EXPECT_EQ(c.tracking.state, NatState::kBackendReset);
  Connection accepted;
  accepted.Syn();
  accepted.SynAck();
  accepted.Backend(kRst);
  EXPECT_EQ(accepted.tracking.state, NatState::kBackendReset);
}

TEST(NatStateTest, ASynBeginsAnewOnlyWhatIsOver) {
  const NatSegment syn = {.flags = kSyn, .sequence = 5};
  Connection c;
  c.Syn();
  EXPECT_FALSE(BeginsAnew(c.tracking, syn));
  c.SynAck();
  c.Client(kAck);
  EXPECT_FALSE(BeginsAnew(c.tracking, syn));
  c.Client(kFin | kAck);
  EXPECT_FALSE(BeginsAnew(c.tracking, syn));
  c.Backend(kFin | kAck);
  EXPECT_TRUE(BeginsAnew(c.tracking, syn));
  EXPECT_FALSE(BeginsAnew(c.tracking, {.flags = kSyn | kAck}));
  EXPECT_FALSE(BeginsAnew(c.tracking, {.flags = kAck}));
}

TEST(NatStateTest, AConnectionTakenUpInItsMiddle) {
  NatTracking tracking;
  BeginTcp(tracking, {.flags = kAck, .sequence = 100, .acknowledgement = 200}, 1);
  EXPECT_EQ(tracking.state, NatState::kEstablished);
  EXPECT_EQ(TimeoutOf(tracking, kTimeouts), 10u);  // until both sides were seen
  NoteBackendSegment(tracking, {.flags = kAck, .sequence = 200, .acknowledgement = 100}, 1);
  NoteClientSegment(tracking, {.flags = kAck, .sequence = 100, .acknowledgement = 300}, 1);
  EXPECT_EQ(TimeoutOf(tracking, kTimeouts), 1000u);
}

TEST(NatStateTest, UdpIsConfirmedByAnAnswerToAnAnswer) {
  NatTracking tracking;
  BeginUdp(tracking, 1);
  NoteClientDatagram(tracking, 2);
  EXPECT_FALSE(tracking.confirmed);
  NoteBackendDatagram(tracking, 3);
  EXPECT_FALSE(tracking.confirmed);
  NoteClientDatagram(tracking, 4);
  EXPECT_TRUE(tracking.confirmed);
  EXPECT_EQ(tracking.last_seen_s, 4u);
  EXPECT_FALSE(IsOver(tracking, kTimeouts, 63));
  EXPECT_TRUE(IsOver(tracking, kTimeouts, 64));
}

// ---- the PROXY protocol header in the stream

constexpr uint8_t kProxy = 28;

struct ProxyTest : testing::Test {
  ProxyTest() { connection.Establish(); }
  ProxyShift Shift(uint32_t offset, uint8_t flags = kAck) {
    return ShiftToBackend(connection.tracking, kProxy, {.flags = flags, .sequence = kClientIsn + 1 + offset});
  }
  // What the client sees for the backend's acknowledgement, both in bytes after the SYN.
  int64_t Unshift(uint32_t offset) {
    return static_cast<int32_t>(UnshiftAcknowledgement(connection.tracking, kProxy, kClientIsn + 1 + offset) -
                                (kClientIsn + 1));
  }
  Connection connection;
};

TEST_F(ProxyTest, EverySegmentAtTheFirstByteGetsTheHeaderUntilItIsAcknowledged) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Shift(0).insert_header);
    EXPECT_EQ(Shift(0).sequence, 0u);
  }
  EXPECT_FALSE(Shift(10).insert_header);
  EXPECT_EQ(Shift(10).sequence, kProxy);
  EXPECT_EQ(Unshift(0), 0);
  EXPECT_EQ(Unshift(5), 0);
  EXPECT_EQ(Unshift(kProxy - 1), 0);
  EXPECT_TRUE(Shift(0).insert_header);
  EXPECT_EQ(Unshift(kProxy), 0);
  EXPECT_FALSE(Shift(0).insert_header);
  EXPECT_EQ(Shift(0).sequence, kProxy);
  EXPECT_EQ(Unshift(kProxy + 100), 100);
}

TEST_F(ProxyTest, WhatComesBeforeTheFirstByteStays) {
  EXPECT_EQ(Shift(0, kSyn).sequence, 0u);
  EXPECT_FALSE(Shift(0xffff'ffff).insert_header);  // a keep-alive
  EXPECT_EQ(Shift(0xffff'ffff).sequence, 0u);
  EXPECT_EQ(Unshift(0xffff'ffff), -1);
}

TEST_F(ProxyTest, AResetMatchesWhatTheBackendGot) {
  EXPECT_FALSE(Shift(0, kRst).insert_header);
  EXPECT_EQ(Shift(0, kRst).sequence, 0u);
  EXPECT_TRUE(Shift(0).insert_header);
  EXPECT_FALSE(Shift(0, kRst).insert_header);
  EXPECT_EQ(Shift(0, kRst).sequence, kProxy);
}

TEST_F(ProxyTest, NumbersMayComeRoundAgain) {
  Shift(0);
  Unshift(kProxy);
  // 3 GB on, "before" and "after" the first byte have changed sides.
  for (const uint32_t offset : {0x7fff'ffffu, 0xc000'0000u, 0xffff'ffffu, 0u, 5u}) {
    EXPECT_EQ(Shift(offset).sequence, kProxy);
    EXPECT_FALSE(Shift(offset).insert_header);
    EXPECT_EQ(UnshiftAcknowledgement(connection.tracking, kProxy, offset), offset - kProxy);
  }
}

TEST_F(ProxyTest, AnAcknowledgementOfWhatWasNotSentIsAboutAnOlderConnection) {
  // It passes unchanged, as does the RST with which the client answers it, and says nothing of the header.
  for (const uint32_t number : {kProxy + 100u, 0u - 100}) {
    EXPECT_EQ(Unshift(number), static_cast<int32_t>(number));
    EXPECT_EQ(Shift(number, kRst).sequence, 0u);
  }
  EXPECT_TRUE(Shift(0).insert_header);
}

TEST(NatStateTest, WhatIsKnownIsKnownOfOneSideAndOneConfiguration) {
  Connection c;
  c.Syn();
  c.SynAck();
  c.tracking.Learn(NatSide::kBackend, 7, 3, false);
  EXPECT_FALSE(c.tracking.Knows(NatSide::kClient, 7));
  c.Client(kAck);
  EXPECT_TRUE(c.tracking.confirmed);
  EXPECT_TRUE(c.tracking.Knows(NatSide::kBackend, 7));
  EXPECT_FALSE(c.tracking.Knows(NatSide::kBackend, 8));
  c.tracking.Learn(NatSide::kClient, 7, 0, false);
  EXPECT_TRUE(c.tracking.Knows(NatSide::kBackend, 7));
  EXPECT_EQ(c.tracking.known_hop, 3u);
  c.tracking.Learn(NatSide::kClient, 8, 0, false);
  EXPECT_TRUE(c.tracking.Knows(NatSide::kClient, 8));
  EXPECT_FALSE(c.tracking.Knows(NatSide::kBackend, 8)) << "its way may be another now";
}

TEST(NatStateTest, WhatComesBeforeTheBackendsSynIsAboutAnOlderConnection) {
  Connection c;
  c.Syn();
  NoteBackendSegment(c.tracking, {.flags = kAck, .sequence = 5, .acknowledgement = kClientIsn - 1'000'000}, 100);
  EXPECT_EQ(c.tracking.state, NatState::kSynSent);
  EXPECT_FALSE(c.tracking.answered);
  NoteClientSegment(c.tracking, {.flags = kRst, .sequence = kClientIsn - 1'000'000}, 100);
  EXPECT_EQ(c.tracking.state, NatState::kSynSent);
  c.SynAck();
  c.Client(kAck);
  EXPECT_EQ(c.tracking.state, NatState::kEstablished);
}

}  // namespace
}  // namespace sluice::lb
