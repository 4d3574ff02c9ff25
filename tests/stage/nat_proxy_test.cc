#include <gmock/gmock.h>

#include <algorithm>

#include "tests/stage/nat_fixture.h"

namespace sluice::test::nat {
namespace {

class ProxyTest : public NatTest {
 protected:
  static constexpr uint32_t kIsn = 1000;
  static constexpr uint32_t kBackendIsn = 500;

  ProxyTest() {
    for (const Family* f : {&kV4, &kV6}) {
      const VipId id = AddNat(*f, 6, 85, f == &kV4 ? pool_v4_ : pool_v6_, fwd::ForwardingMode::kFullNat);
      fixture_.Vip(id).entry.proxy_protocol = true;
    }
    Rebuild();
  }

  static Bytes Header(const Family& f) {
    Bytes header = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21};
    const bool v4 = &f == &kV4;
    header.insert(header.end(), {static_cast<uint8_t>(v4 ? 0x11 : 0x21), 0, static_cast<uint8_t>(v4 ? 12 : 36)});
    for (const char* text : {f.client, f.vip}) {
      const net::IpAddress address = Address(text);
      header.insert(header.end(), address.data(), address.data() + address.size());
    }
    header.insert(header.end(), {40000 >> 8, 40000 & 0xff, 0, 85});
    return header;
  }

  Segment Client(const Family& f, uint8_t flags, uint32_t sequence, uint32_t acknowledgement) {
    Segment segment{.frame = FromClient(f, 6, 85), .sequence = sequence, .acknowledgement = acknowledgement};
    segment.frame.tcp_flags = flags;
    return segment;
  }

  Segment FromBackend(const Family& f, uint8_t flags, uint32_t sequence, uint32_t acknowledgement) {
    Segment segment{.frame = {.source = f.backend,
                              .destination = f.local,
                              .source_port = 85,
                              .destination_port = local_,
                              .tcp_flags = flags},
                    .sequence = sequence,
                    .acknowledgement = acknowledgement};
    return segment;
  }

  void Begin(const Family& f) {
    Run({Client(f, kSyn, kIsn, 0).Build()});
    ASSERT_EQ(sent().size(), 1u);
    local_ = Get16(sent()[0].frame, L4(sent()[0].frame));
    Run({FromBackend(f, kSyn | kAck, kBackendIsn, kIsn + 1).Build()});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(Get32(sent()[0].frame, L4(sent()[0].frame) + 8), kIsn + 1);
  }

  // Runs a client's segment and expects it at the backend with this number and data.
  void ExpectAtBackend(const Family& f, const Segment& in, uint32_t sequence, const Bytes& data) {
    Segment expected = in;
    expected.frame.source = f.local;
    expected.frame.source_port = local_;
    expected.frame.destination = f.backend;
    --expected.frame.hop_limit;
    expected.sequence = sequence;
    expected.data = data;
    Run({in.Build()});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(sent()[0].frame, To(expected.Build(), Backend(f.backend_mac)));
  }

  // Runs a backend's segment and expects it at the client with this acknowledgement.
  void ExpectAtClient(const Family& f, const Segment& in, uint32_t acknowledgement) {
    Segment expected = in;
    expected.frame.source = f.vip;
    expected.frame.destination = f.client;
    expected.frame.destination_port = 40000;
    --expected.frame.hop_limit;
    expected.acknowledgement = acknowledgement;
    Run({in.Build()});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(sent()[0].frame, To(expected.Build(), kRouter));
  }

  uint16_t local_ = 0;
};

TEST_F(ProxyTest, AConversation) {
  for (const Family* f : {&kV4, &kV6}) {
    Begin(*f);
    const Bytes header = Header(*f);
    const auto size = static_cast<uint32_t>(header.size());
    const Bytes request = {'G', 'E', 'T', '\n', '!'};
    Bytes first = header;
    first.insert(first.end(), request.begin(), request.end());
    // The third ACK has the header, so that a server that speaks first has it too; the data gets it again while the
    // backend has not acknowledged it, and when it is sent again.
    ExpectAtBackend(*f, Client(*f, kAck, kIsn + 1, kBackendIsn + 1), kIsn + 1, header);
    Segment data = Client(*f, kAck | 8, kIsn + 1, kBackendIsn + 1);
    data.data = request;
    ExpectAtBackend(*f, data, kIsn + 1, first);
    ExpectAtBackend(*f, data, kIsn + 1, first);
    ExpectAtClient(*f, FromBackend(*f, kAck, kBackendIsn + 1, kIsn + 1), kIsn + 1);
    ExpectAtClient(*f, FromBackend(*f, kAck, kBackendIsn + 1, kIsn + 1 + size), kIsn + 1);
    ExpectAtBackend(*f, data, kIsn + 1 + size, request);
    ExpectAtClient(*f, FromBackend(*f, kAck, kBackendIsn + 1, kIsn + 1 + size + 5), kIsn + 6);
    ExpectAtBackend(*f, Client(*f, kAck | kFin, kIsn + 6, kBackendIsn + 1), kIsn + 6 + size, {});
    ExpectAtBackend(*f, Client(*f, kRst, kIsn + 7, kBackendIsn + 1), kIsn + 7 + size, {});
    EXPECT_EQ(record(0).rung, fwd::Rung::kConnectionTable);
  }
  EXPECT_EQ(counters_.nat.proxy_headers.Value(), 6u);
}

// The backend still knows an older connection with the same local end, and takes the SYN for a part of that: it says
// what it expects there (RFC 5961, RFC 9293 for TIME-WAIT), the client answers with an RST of just that number, and
// only that lets the backend forget the old connection.
TEST_F(ProxyTest, AnOlderConnectionOfTheBackendIsEndedByTheClientsReset) {
  for (const Family* f : {&kV4, &kV6}) {
    Run({Client(*f, kSyn, kIsn, 0).Build()});
    ASSERT_EQ(sent().size(), 1u);
    local_ = Get16(sent()[0].frame, L4(sent()[0].frame));
    for (const uint32_t expected : {kIsn + 1'000'000'000, kIsn - 1'000'000'000, kIsn + 2, kIsn}) {
      ExpectAtClient(*f, FromBackend(*f, kAck, 77, expected), expected);
      ExpectAtBackend(*f, Client(*f, kRst, expected, 0), expected, {});
      // The SYN comes again, to the same place.
      ExpectAtBackend(*f, Client(*f, kSyn, kIsn, 0), kIsn, {});
    }
    ExpectAtClient(*f, FromBackend(*f, kSyn | kAck, kBackendIsn, kIsn + 1), kIsn + 1);
    ExpectAtBackend(*f, Client(*f, kAck, kIsn + 1, kBackendIsn + 1), kIsn + 1, Header(*f));
    const auto size = static_cast<uint32_t>(Header(*f).size());
    ExpectAtClient(*f, FromBackend(*f, kAck, kBackendIsn + 1, kIsn + 1 + size), kIsn + 1);
    ExpectAtBackend(*f, Client(*f, kRst, kIsn + 1, 0), kIsn + 1 + size, {});
  }
}

TEST_F(ProxyTest, SackBlocksAreShiftedBack) {
  Begin(kV4);
  ExpectAtBackend(kV4, Client(kV4, kAck, kIsn + 1, kBackendIsn + 1), kIsn + 1, Header(kV4));
  Segment sack = FromBackend(kV4, kAck, kBackendIsn + 1, kIsn + 29);
  sack.options = {1, 1, 5, 10, 0, 0, 0x07, 0xd0, 0, 0, 0x0b, 0xb8};  // 2000 to 3000
  Run({sack.Build()});
  ASSERT_EQ(sent().size(), 1u);
  const Bytes& out = sent()[0].frame;
  EXPECT_EQ(Get32(out, L4(out) + 24), 2000u - 28);
  EXPECT_EQ(Get32(out, L4(out) + 28), 3000u - 28);
  EXPECT_EQ(Get16(out, L4(out) + 16), L4Checksum(out));
}

TEST_F(ProxyTest, FastOpenIsTakenOutOfTheSyn) {
  Segment syn = Client(kV4, kSyn, kIsn, 0);
  syn.options = {34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1};
  syn.data = {'G', 'E', 'T'};
  Run({syn.Build()});
  ASSERT_EQ(sent().size(), 1u);
  const Bytes& out = sent()[0].frame;
  EXPECT_EQ(out.size(), kIp + 20 + 32);
  EXPECT_EQ(Bytes(out.begin() + kIp + 40, out.end()), Bytes(12, 1));
  EXPECT_EQ(Get16(out, L4(out) + 16), L4Checksum(out));
}

TEST_F(ProxyTest, FastOpenIsNotTakenOutOfSeveralBuffers) {
  Segment syn = Client(kV4, kSyn, kIsn, 0);
  syn.data = {'G', 'E', 'T'};
  const Bytes frame = syn.Build();
  const uint64_t before = Dropped(DropReason::kNatUnreadable);
  RunMbufs({MakeMbuf(frame, frame.size() - 2)});
  EXPECT_EQ(Dropped(DropReason::kNatUnreadable), before + 1);
}

TEST_F(ProxyTest, TheClientLeavesRoomForTheHeader) {
  for (const Family* f : {&kV4, &kV6}) {
    Run({Client(*f, kSyn, kIsn, 0).Build()});
    local_ = Get16(sent()[0].frame, L4(sent()[0].frame));
    Segment synack = FromBackend(*f, kSyn | kAck, kBackendIsn, kIsn + 1);
    synack.options = {2, 4, 5, 0xb4};
    Run({synack.Build()});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(Get16(sent()[0].frame, L4(sent()[0].frame) + 22), f == &kV4 ? 1460 - 28 : 1440 - 52);
  }
}

}  // namespace
}  // namespace sluice::test::nat
