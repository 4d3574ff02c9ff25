// That loops over packets with cookies end where they must: bursts of such packets with others among them, through two
// directors that differ in nothing but in having the fast path.

#include "dataplane/stage/fast_cookies.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tests/stage/cookie_frames.h"
#include "tests/stage/two_directors.h"

namespace sluice::test {
namespace {

constexpr size_t kTcp = kIpOffset + 20;

// What a burst has beside packets with cookies of one VIP: other packets, and such as could be taken for these.
enum class Other {
  kOfTable,
  kOfHash,
  kOfSlot,
  kNobodys,
  kUdp,
  kV6,
  kBegins,
  kEnds,
  kNoAck,
  kNamesNobody,
  kOtherVip,
  kUnknownKey,
  kWithoutTimestamps,
  kHeaderTooShort,
  kOptionsElsewhere,
  kFragment,
  kBadChecksum,
  kCount
};

class FastCookiesTest : public TwoDirectorsRunsTest {
 protected:
  FastCookiesTest() {
    using Mode = fwd::ForwardingMode;
    AddVip(kTablePort, Mode::kIpip);
    fixture_.Vip(AddVip(kHashPort, Mode::kIpip)).entry.tracked = false;
    fwd::VipEntry& slots = fixture_.Vip(AddVip(kSlotPort, Mode::kIpip)).entry;
    slots.cookies = slots.slots = true;
    // Two that are alike; the first key is not the one that most have.
    const lb::CookieLayout brief = {.key_bits = 1, .backend_bits = 2, .check_bits = 1};
    AddCookieVip(Mode::kIpip, brief, 1);
    AddCookieVip(Mode::kL2, brief, 0);
    AddCookieVip(Mode::kGue, {.key_bits = 2, .backend_bits = 14, .check_bits = 5}, 0);
    AddCookieVip(Mode::kIpip, {.key_bits = 3, .tier_bits = 3, .backend_bits = 3, .check_bits = 2}, 1);
    for (const uint32_t number : {0u, 1u}) {
      const lb::AesBlock secret = {static_cast<uint8_t>(7 + number)};
      fixture_.spec().cookie_keys[number] = secret;
      keys_.Set(number, secret);
    }
    Rebuild();
  }

  struct CookieVip {
    uint16_t port;
    lb::CookieLayout layout;
    uint32_t key;
  };

  VipId AddVip(uint16_t port, fwd::ForwardingMode mode) {
    return TwoDirectorsRunsTest::AddVip("203.0.113.20", net::kProtocolTcp, port, mode);
  }

  void AddCookieVip(fwd::ForwardingMode mode, const lb::CookieLayout& layout, uint32_t key) {
    const auto port = static_cast<uint16_t>(100 + cookie_vips_.size());
    fwd::VipEntry& entry = fixture_.Vip(AddVip(port, mode)).entry;
    entry.cookies = true;
    entry.cookie_layout = layout;
    cookie_vips_.push_back({port, layout, key});
  }

  FrameBuilder Segment(uint16_t port) {
    FrameBuilder builder;
    builder.destination = "203.0.113.20";
    builder.source_port = static_cast<uint16_t>(40000 + Draw(1000));
    builder.destination_port = port;
    builder.tcp_flags = Draw(2) == 0 ? 0x10 : 0x18;
    builder.payload = 12 + Draw(20);
    return builder;
  }

  // One that goes on with a connection, and whose cookie names a backend.
  Bytes FrameWithCookie(const CookieVip& vip) {
    Bytes frame = Segment(vip.port).Build();
    PutOptions(kTcp, frame);
    const lb::CookieFields fields = {.tier = 0, .backend = static_cast<uint32_t>(Draw(2))};
    const uint32_t key = Draw(20) == 0 ? 1 - vip.key : vip.key;
    PutCookie(vip.layout, keys_, key, fields, static_cast<uint32_t>(random_()), kTcp, frame);
    return frame;
  }

  Bytes FrameOf(Other kind, const CookieVip& vip) {
    Bytes frame = FrameWithCookie(vip);
    switch (kind) {
      case Other::kOfTable:
        frame[kTcp + 3] = kTablePort;
        break;
      case Other::kOfHash:
        frame[kTcp + 3] = kHashPort;
        break;
      case Other::kOfSlot:
        frame[kTcp + 3] = kSlotPort;
        break;
      case Other::kNobodys:
        frame[kTcp + 3] = 7;
        break;
      case Other::kUdp: {
        FrameBuilder datagram = Segment(vip.port);
        datagram.protocol = net::kProtocolUdp;
        return datagram.Build();
      }
      case Other::kV6:
        return V6().Build();
      case Other::kBegins:
        frame[kTcp + 13] = 0x02;
        break;
      case Other::kEnds:
        frame[kTcp + 13] = 0x11;
        break;
      case Other::kNoAck:
        frame[kTcp + 13] = 0x08;
        break;
      case Other::kNamesNobody:
        frame[kTcp + 31] ^= static_cast<uint8_t>(1 + Draw(7));
        break;
      case Other::kOtherVip:
        return FrameWithCookie(Pick(cookie_vips_));
      case Other::kUnknownKey:
        // Of layouts with one key bit it is the other key.
        for (const size_t i : {28u, 29u, 30u}) frame[kTcp + i] ^= 0xff;
        break;
      case Other::kWithoutTimestamps: {
        FrameBuilder bare = Segment(vip.port);
        bare.payload = Draw(2) == 0 ? 0 : 30;
        return bare.Build();
      }
      case Other::kHeaderTooShort:
        frame[kTcp + 12] = Draw(2) == 0 ? 0x50 : 0x70;
        break;
      case Other::kOptionsElsewhere:
        std::rotate(&frame[kTcp + 20], &frame[kTcp + 22], &frame[kTcp + 32]);
        break;
      case Other::kFragment:
        frame[kIpOffset + 6] = 0x20;
        break;
      case Other::kBadChecksum:
        frame[kIpOffset + 10] ^= 0xff;
        break;
      case Other::kCount:
        break;
    }
    return frame;
  }

  uint64_t NamedByCookie() const { return common_->counters.rungs[static_cast<size_t>(fwd::Rung::kCookie)].Value(); }

  static constexpr uint8_t kTablePort = 81, kHashPort = 84, kSlotPort = 88;
  std::vector<CookieVip> cookie_vips_;
  lb::CookieKeys keys_;
};

// At every place, alone or two in a row, and in bursts whose last packets are looked at one by one.
TEST_P(FastCookiesTest, ReadsRunsAroundOthers) {
  for (size_t kind = 0; kind < static_cast<size_t>(Other::kCount); ++kind) {
    for (size_t place = 0; place < stage::kBurstSize; ++place) {
      const CookieVip& vip = Pick(cookie_vips_);
      const size_t count = Draw(3) == 0 ? std::max<size_t>(place + 1, 24 + Draw(8)) : stage::kBurstSize;
      const size_t end = place + 1 + Draw(2);
      std::vector<Bytes> frames;
      for (size_t i = 0; i < count; ++i) {
        const bool is_other = place <= i && i < end;
        frames.push_back(is_other ? FrameOf(static_cast<Other>(kind), vip) : FrameWithCookie(vip));
      }
      ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames, 0)) << "of kind " << kind << " at " << place;
      ChangeSomething();
    }
  }
  EXPECT_GT(NamedByCookie(), 5000u);
}

// To VIPs whose cookies are laid out alike or not, of either key.
TEST_P(FastCookiesTest, ReadsRunsOfSeveralKinds) {
  for (int round = 0; round < 200; ++round) {
    std::vector<Bytes> frames;
    const size_t longest = 1 + Draw(16);
    while (frames.size() < stage::kBurstSize) {
      const CookieVip& vip = Pick(cookie_vips_);
      const size_t end = std::min(frames.size() + 1 + Draw(longest), stage::kBurstSize);
      while (frames.size() < end) frames.push_back(FrameWithCookie(vip));
    }
    ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames, RTE_MBUF_F_RX_IP_CKSUM_GOOD)) << "in round " << round;
    ChangeSomething();
  }
  EXPECT_GT(NamedByCookie(), 1000u);
}

// So that the second pass is not begun for bursts of nothing else.
TEST_P(FastCookiesTest, TellsHowManyAreSelected) {
  for (int round = 0; round < 50; ++round) {
    const CookieVip& vip = Pick(cookie_vips_);
    const auto other = static_cast<Other>(Draw(static_cast<size_t>(Other::kCount)));
    const size_t place = Draw(2 * stage::kBurstSize);
    std::vector<Bytes> frames;
    while (frames.size() < stage::kBurstSize)
      frames.push_back(frames.size() == place ? FrameOf(other, vip) : FrameWithCookie(vip));
    const size_t selected = LookUp(*common_, frames).looked.selected;
    const auto is_selected = [](const stage::Packet& packet) { return packet.past == stage::Past::kSelection; };
    stage::Burst& burst = common_->burst;
    ASSERT_EQ(selected, static_cast<size_t>(std::count_if(burst.begin(), burst.end(), is_selected)));
    ASSERT_GE(selected, stage::kBurstSize - 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FastCookiesTest, testing::Range(1u, 7u));

}  // namespace
}  // namespace sluice::test
