// That loops over connections that begin end where they must: bursts of such packets with others among them, through
// two directors that differ in nothing but in having the fast path.

#include "dataplane/stage/fast_begin.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tests/stage/cookie_frames.h"
#include "tests/stage/tracked_vips.h"

namespace sluice::test {
namespace {

// What a burst has beside first packets of one kind: other packets, and such as could be taken for these. "Known" are
// those of a connection that goes on.
enum class Among {
  kKnown,
  kKnownBegins,
  kKnownEnds,
  kKnownIsReset,
  kUnknown,
  kSynAck,
  kSynFin,
  kSynRst,
  kOfOtherPolicy,
  kOfHash,
  kOtherProtocol,
  kOtherProtocolGoesOn,
  kOtherProtocolEnds,
  kOtherFamily,
  kNobodys,
  kFragment,
  kBadChecksum,
  kTagged,
  kMartian,
  kCount
};

class FastBeginTest : public TrackedVipsTest {
 protected:
  static FrameBuilder FromClient(const Kind& kind, size_t client) {
    return {.source = (kind.v4 ? "198.51.100." : "2001:db8:c::") + std::to_string(1 + client % 99),
            .destination = VipOf(kind),
            .protocol = kind.protocol,
            .source_port = static_cast<uint16_t>(1024 + client / 99),
            .destination_port = kL2Port,
            .payload = 12};
  }

  // The first packet of another client than all before.
  FrameBuilder First(const Kind& kind) {
    FrameBuilder builder = FromClient(kind, ++clients_);
    builder.destination_port = Draw(2) == 0 ? kL2Port : kIpipPort;
    return builder;
  }

  std::vector<Bytes> Firsts(const Kind& kind, size_t count = stage::kBurstSize) {
    std::vector<Bytes> frames(count);
    std::generate(frames.begin(), frames.end(), [&] { return First(kind).Build(); });
    return frames;
  }

  Bytes FrameOf(Among other, Kind kind) {
    FrameBuilder builder = First(kind);
    FrameBuilder known = FromClient(kind, 0);
    switch (other) {
      case Among::kKnown:
        known.tcp_flags = 0x10;
        return known.Build();
      case Among::kKnownBegins:
        return known.Build();
      case Among::kKnownEnds:
        known.tcp_flags = 0x11;
        return known.Build();
      case Among::kKnownIsReset:
        known.tcp_flags = 0x04;
        return known.Build();
      case Among::kUnknown:
        builder.tcp_flags = 0x10;
        break;
      case Among::kSynAck:
        builder.tcp_flags = 0x12;
        break;
      case Among::kSynFin:
        builder.tcp_flags = 0x03;
        break;
      case Among::kSynRst:
        builder.tcp_flags = 0x06;
        break;
      case Among::kOfOtherPolicy:
        builder.destination_port = kTurnsPort;
        break;
      case Among::kOfHash:
        builder.destination_port = kHashPort;
        break;
      case Among::kOtherProtocol:
      case Among::kOtherProtocolGoesOn:
      case Among::kOtherProtocolEnds:
        builder.protocol = kind.protocol == net::kProtocolTcp ? net::kProtocolUdp : net::kProtocolTcp;
        if (other == Among::kOtherProtocolGoesOn) builder.tcp_flags = 0x10;
        if (other == Among::kOtherProtocolEnds) builder.tcp_flags = 0x11;
        break;
      case Among::kOtherFamily:
        kind.v4 = !kind.v4;
        return First(kind).Build();
      case Among::kNobodys:
        builder.destination_port = 7;
        break;
      case Among::kFragment:
        builder.fragment = 0x2000;
        break;
      case Among::kBadChecksum:
        builder.bad_checksum = true;
        break;
      case Among::kTagged:
        builder.vlan_tags = 1;
        break;
      case Among::kMartian:
        builder.source = kind.v4 ? "127.0.0.1" : "::1";
        break;
      case Among::kCount:
        break;
    }
    return builder.Build();
  }

  const fwd::TableCounters& TableCounters(const Kind& kind) const {
    return kind.v4 ? common_->counters.table_v4 : common_->counters.table_v6;
  }

  // Of the last burst: how many packets went the fast path.
  size_t OnFastPath() const {
    const auto is_past = [](const stage::Packet& packet) { return packet.past == stage::Past::kAll; };
    return static_cast<size_t>(std::count_if(common_->burst.begin(), common_->burst.end(), is_past));
  }

  size_t clients_ = 0;
};

// Which is met at every place, or was before: fewer may be unconfirmed than are.
TEST_P(FastBeginTest, KeepsToTheLimitOfUnconfirmedConnections) {
  for (const Kind& kind : kKinds) {
    for (const size_t before : {0u, 3u}) {
      for (size_t limit = 0; limit <= stage::kBurstSize; ++limit) {
        EndAll();
        LimitUnconfirmed(kConnections);
        ASSERT_NO_FATAL_FAILURE(ExpectAlike(Firsts(kind, before), 0));
        LimitUnconfirmed(limit);
        ASSERT_NO_FATAL_FAILURE(ExpectAlike(Firsts(kind), 0)) << "with " << before << " of " << limit;
        ASSERT_LE(common_->tables.v4().unconfirmed + common_->tables.v6().unconfirmed, std::max(before, limit));
        ASSERT_EQ(OnFastPath(), stage::kBurstSize);
      }
    }
  }
  EXPECT_GT(common_->counters.table_v4.inserted.Value(), 1000u);
  EXPECT_GT(common_->counters.table_v6.inserted.Value(), 1000u);
  EXPECT_GT(common_->counters.table_v4.unconfirmed_full.Value(), 1000u);
  EXPECT_GT(common_->counters.table_v6.unconfirmed_full.Value(), 1000u);
}

// The same packet again, or what follows it.
TEST_P(FastBeginTest, KnowsConnectionsThatBeganInTheSameBurst) {
  for (const Kind& kind : kKinds) {
    for (size_t second = 1; second < stage::kBurstSize; ++second) {
      for (const size_t first : {second - 1, Draw(second)}) {
        for (const bool again : {true, false}) {
          EndAll();
          std::vector<Bytes> frames = Firsts(kind);
          frames[second] = frames[first];
          if (!again && kind.protocol == net::kProtocolTcp) frames[second][kind.l4() + 13] = 0x10;
          ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames, 0)) << "of " << first << " at " << second;
        }
      }
    }
  }
}

// The table fills, up to where there is room for none: into second buckets, in place of those whose time is over and
// whom no sweep has ended yet, and where others are moved; and what began lately comes again.
TEST_P(FastBeginTest, EntersRunsIntoFullBuckets) {
  for (const Kind& kind : kKinds) {
    EndAll();
    const fwd::TableCounters& counters = TableCounters(kind);
    const uint64_t full_before = counters.insert_full.Value();
    const uint64_t expired_before = counters.expired.Value();
    const uint64_t inserted_before = counters.inserted.Value();
    std::vector<Bytes> began;
    for (int bursts = 0; bursts < 200; ++bursts) {
      std::vector<Bytes> frames = Firsts(kind, 8 + Draw(stage::kBurstSize - 7));
      for (Bytes& frame : frames) {
        if (!began.empty() && Draw(8) == 0) frame = Pick(began);
      }
      // Without a limit more connections than those the table is made for fill it.
      LimitUnconfirmed(Draw(3) == 0 ? Draw(kConnections) : 4 * kConnections);
      ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames, 0)) << "burst " << bursts;
      began = std::move(frames);
      if (Draw(4) == 0) now_s_ += static_cast<uint32_t>(Draw(40));
      ChangeSomething();
    }
    EXPECT_GT(counters.insert_full.Value(), full_before);
    EXPECT_GT(counters.expired.Value(), expired_before);
    EXPECT_GT(counters.inserted.Value(), inserted_before + 5 * kConnections);
  }
}

// At every place, alone or two in a row, and in bursts whose last packets are looked at one by one.
TEST_P(FastBeginTest, EntersRunsAroundOthers) {
  size_t on_fast_path = 0;
  for (const Kind& kind : kKinds) {
    for (size_t other = 0; other < static_cast<size_t>(Among::kCount); ++other) {
      for (size_t place = 0; place < stage::kBurstSize; ++place) {
        EndAll();
        ASSERT_NO_FATAL_FAILURE(ExpectAlike({FrameOf(Among::kKnownBegins, kind), FrameOf(Among::kKnown, kind)}, 0));
        const size_t count = Draw(3) == 0 ? std::max<size_t>(place + 1, 24 + Draw(8)) : stage::kBurstSize;
        std::vector<Bytes> frames = Firsts(kind, count);
        const size_t end = std::min(place + 1 + Draw(2), count);
        for (size_t i = place; i < end; ++i) frames[i] = FrameOf(static_cast<Among>(other), kind);
        ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames, 0)) << "of kind " << other << " at " << place;
        on_fast_path += OnFastPath();
        ChangeSomething();
      }
    }
  }
  EXPECT_GT(on_fast_path, 20000u);
}

// The ladder would do the same, only slower.
TEST_P(FastBeginTest, TakesAllForWhichThereIsRoom) {
  for (const Kind& kind : kKinds) {
    size_t taken = 0;
    size_t possible = 0;
    for (size_t limit = 0; limit <= stage::kBurstSize; ++limit) {
      EndAll();
      LimitUnconfirmed(limit);
      stage::Burst& burst = common_->burst;
      FirstPass pass = LookUp(*common_, Firsts(kind, 1 + Draw(stage::kBurstSize)));
      const stage::SelectionTables tables(pass.env);
      const bool noted = stage::IsBeginning(burst.packets[0].past);
      ASSERT_EQ(noted, kind.protocol == net::kProtocolTcp);
      size_t fetched_end = 0;
      const auto select = [&]<net::Family family>() {
        return (noted ? stage::SelectNoted<family> : stage::SelectDatagrams<family>)(0, burst, pass.wanted, tables,
                                                                                     fetched_end, pass.env);
      };
      const size_t begun = kind.v4 ? select.operator()<net::Family::kIpv4>() : select.operator()<net::Family::kIpv6>();
      ASSERT_LE(begun, std::min(limit, burst.count));
      ASSERT_EQ(common_->tables.v4().unconfirmed + common_->tables.v6().unconfirmed, begun);
      taken += begun;
      possible += std::min(limit, burst.count);
    }
    // Also where the first bucket is full, unless it is the second one, too, as now and then in a table so small.
    EXPECT_GT(taken, possible * 9 / 10);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FastBeginTest, testing::Range(1u, 4u));

}  // namespace
}  // namespace sluice::test
