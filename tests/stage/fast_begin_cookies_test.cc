// That connections to VIPs with cookies begin on the fast path as the ladder begins them, and that only those do of
// which it would ask no more than whether they have timestamps and an entry.

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "dataplane/stage/fast_begin.h"
#include "tests/stage/cookie_frames.h"
#include "tests/stage/two_directors.h"

namespace sluice::test {
namespace {

enum class Options { kNone, kAligned, kOfLinux, kOtherLength, kCut, kCount };

class FastBeginCookiesTest : public TwoDirectorsRunsTest {
 protected:
  FastBeginCookiesTest() {
    using Mode = fwd::ForwardingMode;
    const lb::CookieLayout plain = {.key_bits = 1, .backend_bits = 2, .check_bits = 1};
    const lb::CookieLayout tiers = {.key_bits = 2, .tier_bits = 2, .backend_bits = 5};
    Add(by_table_, Mode::kIpip, plain);
    Add(by_table_, Mode::kL2, plain);
    Add(by_table_, Mode::kGue, tiers, [](fwd::VipSpec& vip) { vip.entry.first_tier = true; });
    Add(by_table_, Mode::kGue, plain, [](fwd::VipSpec& vip) { vip.entry.second_chance = true; });
    Add(by_table_, Mode::kIpip, plain, [](fwd::VipSpec& vip) { vip.last_port = 1000; });
    last_port_ = 1000;
    Add(others_, Mode::kIpip, tiers);
    Add(others_, Mode::kIpip, plain, [](fwd::VipSpec& vip) { vip.entry.hash_input = fwd::HashInput::kClient; });
    Add(others_, Mode::kIpip, plain, [](fwd::VipSpec& vip) { vip.entry.tracked = false; });
    Add(others_, Mode::kIpip, plain, [](fwd::VipSpec& vip) { vip.entry.unsafe_only = true; });
    Add(others_, Mode::kIpip, plain, [](fwd::VipSpec& vip) { vip.entry.slots = true; });
    Add(others_, Mode::kIpip, plain, [this](fwd::VipSpec& vip) {
      fixture_.spec().pools[vip.entry.pool.index()].policy = fwd::SchedulingPolicy::kWeightedRoundRobin;
    });
    Add(
        prefixes_, Mode::kIpip, plain, [](fwd::VipSpec&) {}, true);
    fixture_.spec().cookie_keys[0] = lb::AesBlock{7};
    Rebuild();
    LimitUnconfirmed(kConnections);
  }

  // One of each family, at the port that is returned.
  void Add(
      std::vector<uint16_t>& ports, fwd::ForwardingMode mode, const lb::CookieLayout& layout,
      const std::function<void(fwd::VipSpec&)>& change = [](fwd::VipSpec&) {}, bool is_prefix = false) {
    ports.push_back(++last_port_);
    for (const bool v4 : {true, false}) {
      std::string address = DestinationOf(v4, last_port_);
      if (is_prefix) address = v4 ? "198.18.0.0/24" : "2001:db8:18::/64";
      fwd::VipSpec& vip = fixture_.Vip(AddVip(address, net::kProtocolTcp, last_port_, mode));
      vip.entry.cookies = true;
      vip.entry.cookie_layout = layout;
      change(vip);
    }
  }

  std::string DestinationOf(bool v4, uint16_t port) const {
    const bool is_prefix = std::find(prefixes_.begin(), prefixes_.end(), port) != prefixes_.end();
    if (is_prefix) return v4 ? "198.18.0.7" : "2001:db8:18::7";
    return v4 ? "203.0.113.20" : "2001:db8:f::20";
  }

  void LimitUnconfirmed(size_t limit) {
    for (Director* const director : {common_.get(), stages_.get()})
      director->tables.v4().unconfirmed_limit = director->tables.v6().unconfirmed_limit = limit;
  }

  // Of that client; a SYN, unless flags say something else.
  Bytes FrameOf(bool v4, uint16_t port, size_t client, Options options, uint8_t flags = net::kTcpSyn) {
    Bytes frame = FrameBuilder{.source = (v4 ? "198.51.100." : "2001:db8:c::") + std::to_string(1 + client % 99),
                               .destination = DestinationOf(v4, port),
                               .source_port = static_cast<uint16_t>(1024 + client / 99),
                               .destination_port = port,
                               .tcp_flags = flags,
                               .payload = 20}
                      .Build();
    const size_t tcp = kIpOffset + (v4 ? 20 : 40);
    std::fill_n(&frame[tcp + 20], 20, uint8_t{0});
    const auto put = [&](uint8_t words, const std::vector<uint8_t>& start) {
      frame[tcp + 12] = static_cast<uint8_t>(words << 4);
      std::copy(start.begin(), start.end(), &frame[tcp + 20]);
    };
    switch (options) {
      case Options::kNone:
      case Options::kCount:
        break;
      case Options::kAligned:
        PutOptions(tcp, frame);
        break;
      case Options::kOfLinux:
        put(10, {2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7});
        break;
      case Options::kOtherLength:
        put(10, {2, 4, 5, 180, 4, 2, 8, 9, 1, 2, 3, 4, 0, 0, 0, 1});
        break;
      case Options::kCut:  // the option is longer than the header
        put(7, {2, 4, 5, 180, 8, 10});
        break;
    }
    return frame;
  }

  Options AnyOptions() { return static_cast<Options>(Draw(static_cast<size_t>(Options::kCount))); }
  static bool HaveTimestamps(Options options) { return options == Options::kAligned || options == Options::kOfLinux; }

  uint16_t last_port_ = 79;
  std::vector<uint16_t> by_table_, others_, prefixes_;
};

// By what the first pass makes of them: the ladder would do the same, only slower.
TEST_P(FastBeginCookiesTest, ArePickedByVipAndOptions) {
  for (const bool v4 : {true, false}) {
    const auto expect = [&](uint16_t port, Options options, uint8_t flags, bool is_picked) {
      const FirstPass pass = LookUp(*common_, {FrameOf(v4, port, 1, options, flags)});
      const stage::Past passing = v4 ? stage::Past::kPassingLookupV4 : stage::Past::kPassingLookupV6;
      const stage::Past entered = v4 ? stage::Past::kBeginningLookupV4 : stage::Past::kBeginningLookupV6;
      const stage::Past picked = HaveTimestamps(options) ? passing : entered;
      ASSERT_EQ(common_->burst.packets[0].past, is_picked ? picked : stage::Past::kLookup)
          << "port " << port << ", options " << static_cast<int>(options) << ", flags " << int{flags};
    };
    for (size_t i = 0; i < static_cast<size_t>(Options::kCount); ++i) {
      const auto options = static_cast<Options>(i);
      for (const uint16_t port : by_table_) {
        ASSERT_NO_FATAL_FAILURE(expect(port, options, net::kTcpSyn, true));
        ASSERT_NO_FATAL_FAILURE(expect(port, options, net::kTcpSyn | net::kTcpFin, false));
        ASSERT_NO_FATAL_FAILURE(expect(port, options, net::kTcpSyn | net::kTcpRst, false));
        ASSERT_NO_FATAL_FAILURE(expect(port, options, 0, false));
      }
      for (const uint16_t port : others_) ASSERT_NO_FATAL_FAILURE(expect(port, options, net::kTcpSyn, false));
      for (const uint16_t port : prefixes_) ASSERT_NO_FATAL_FAILURE(expect(port, options, net::kTcpSyn, false));
    }
  }
}

// Also of connections that are known already, or began in the same burst, and of VIPs of which none is picked.
TEST_P(FastBeginCookiesTest, BeginAsTheLadderBeginsThem) {
  size_t clients = 0;
  bool mostly_v4 = true;
  uint16_t mostly_to = by_table_[0];
  for (int round = 0; round < 2000; ++round) {
    if (Draw(10) == 0) {
      now_s_ += 5000;
      LimitUnconfirmed(Draw(kConnections));
      mostly_v4 = Draw(2) == 0;
      mostly_to = Pick(by_table_);
    }
    std::vector<Bytes> frames(1 + Draw(stage::kBurstSize));
    for (Bytes& frame : frames) {
      const bool is_new = Draw(3) != 0;
      const size_t client = is_new ? ++clients : clients - std::min(clients, Draw(8));
      const auto flags = Draw(6) != 0 ? uint8_t{net::kTcpSyn} : Pick<uint8_t>({0x10, 0x11, 0x12, 0x04, 0x03, 0xc2});
      uint16_t port = mostly_to;
      if (Draw(10) == 0) port = Pick(Draw(2) == 0 ? by_table_ : Draw(6) == 0 ? prefixes_ : others_);
      frame =
          FrameOf(mostly_v4 != (Draw(10) == 0), port, client, Draw(3) == 0 ? AnyOptions() : Options::kOfLinux, flags);
    }
    ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames, 0)) << "in round " << round;
    ChangeSomething();
  }
  EXPECT_GT(common_->counters.rungs[static_cast<size_t>(fwd::Rung::kHashOnly)].Value(), 2000u);
  EXPECT_GT(common_->counters.rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Value(), 50u);
}

// Until one has an entry, or its bucket is full.
TEST_P(FastBeginCookiesTest, PassInRuns) {
  for (const bool v4 : {true, false}) {
    size_t passed = 0;
    for (size_t known = 0; known < stage::kBurstSize; ++known) {
      std::vector<Bytes> frames;
      for (size_t i = 0; i < stage::kBurstSize; ++i)
        frames.push_back(FrameOf(v4, by_table_[0], 1000 * known + i, Options::kOfLinux));
      now_s_ += 5000;
      RunOn(*common_, {FrameOf(v4, by_table_[0], 1000 * known + known, Options::kNone)}, {0}, {SIZE_MAX});
      FirstPass pass = LookUp(*common_, frames);
      const auto select = v4 ? stage::SelectPassing<net::Family::kIpv4> : stage::SelectPassing<net::Family::kIpv6>;
      const size_t next = select(0, common_->burst, pass.wanted, stage::SelectionTables(pass.env), pass.env);
      ASSERT_LE(next, known);
      passed += next;
    }
    EXPECT_GT(passed, stage::kBurstSize * (stage::kBurstSize - 1) / 4);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FastBeginCookiesTest, testing::Range(1u, 7u));

}  // namespace
}  // namespace sluice::test
