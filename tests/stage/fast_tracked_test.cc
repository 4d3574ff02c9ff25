// That loops over connections that go on end where they must: bursts of their packets with others among them, through
// two directors that differ in nothing but in having the fast path.

#include "dataplane/stage/fast_tracked.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tests/stage/cookie_frames.h"
#include "tests/stage/tracked_vips.h"

namespace sluice::test {
namespace {

// What a burst has beside packets of connections that go on: other packets, and such as could be taken for these.
enum class Between {
  kBegins,
  kBeginsAgain,
  kEnds,
  kIsReset,
  kSynAck,
  kUnknown,
  kOtherPort,
  kOfOtherPolicy,
  kOfHash,
  kOfRange,
  kNobodys,
  kStrangers,
  kOtherProtocol,
  kOtherFamily,
  kFragment,
  kExtended,
  kTagged,
  kTooLong,
  kHeaderTooLong,
  kHeaderTooShort,
  kInTwoBuffers,
  kFromLoopback,
  kFromNobody,
  kFromGroup,
  kFromTheVip,
  kFromNextToLoopback,
  kFromNearTheVip,
  kForOtherStation,
  kCount
};

class FastTrackedTest : public TrackedVipsTest {
 protected:
  FastTrackedTest() {
    for (const Kind& kind : kKinds) {
      fixture_.Vip(AddVip(VipOf(kind), kind.protocol, kRangePort, fwd::ForwardingMode::kIpip)).last_port =
          kRangePort + 9;
    }
    Rebuild();
  }

  // Of clients that differ in address or port.
  FrameBuilder FromClient(const Kind& kind, size_t client) {
    return {.source = (kind.v4 ? "198.51.100." : "2001:db8:c::") + std::to_string(1 + client / 2),
            .destination = VipOf(kind),
            .protocol = kind.protocol,
            .source_port = static_cast<uint16_t>(40000 + client % 2),
            .destination_port = client % 3 == 0 ? kL2Port : kIpipPort,
            .tcp_flags = 0x10,
            .payload = 12 + Draw(20)};
  }
  // Whether any bucket has the packet's connection, in the state of those that go on.
  bool GoesOn(const stage::Packet& packet) {
    const uint8_t* const client = stage::FrameOf(packet) + packet.client_offset;
    const net::ParsedHeaders& headers = packet.headers;
    const auto goes_on = [&](auto& table, const auto& key) {
      const auto* const entry = table.Find(key, packet.flow_hash);
      return entry != nullptr && entry->state() == stage::StateOfRunning(headers.protocol == net::kProtocolTcp);
    };
    if (headers.family == net::Family::kIpv4) {
      return goes_on(common_->tables.v4().table, lb::ConnectionKeyV4{.client = net::Load<uint32_t>(client),
                                                                     .client_port = headers.source_port,
                                                                     .destination_port = headers.destination_port,
                                                                     .vip = packet.vip});
    }
    return goes_on(common_->tables.v6().table, lb::ConnectionKeyV6{.client_high = net::Load<uint64_t>(client),
                                                                   .client_low = net::Load<uint64_t>(client + 8),
                                                                   .client_port = headers.source_port,
                                                                   .destination_port = headers.destination_port,
                                                                   .vip = packet.vip});
  }

  FrameBuilder Known(const Kind& kind) { return FromClient(kind, Draw(kClients)); }

  // All clients have connections, of which some lie in second buckets, and some found no room.
  void Begin(const Kind& kind) {
    for (const uint8_t flags : {uint8_t{0x02}, uint8_t{0x10}}) {
      for (size_t first = 0; first < kClients; first += stage::kBurstSize) {
        std::vector<Bytes> frames;
        for (size_t i = first; i < std::min(first + stage::kBurstSize, kClients); ++i) {
          FrameBuilder builder = FromClient(kind, i);
          builder.tcp_flags = flags;
          frames.push_back(builder.Build());
        }
        const std::vector<uint64_t> offloads(frames.size());
        const std::vector<size_t> segments(frames.size(), SIZE_MAX);
        for (Director* const director : {common_.get(), stages_.get()}) RunOn(*director, frames, offloads, segments);
      }
    }
  }

  Bytes FrameOf(Between other, Kind kind) {
    FrameBuilder builder = Known(kind);
    switch (other) {
      case Between::kBegins:
        builder.source_port = static_cast<uint16_t>(50000 + Draw(10000));
        builder.tcp_flags = 0x02;
        break;
      case Between::kBeginsAgain:
        builder.tcp_flags = 0x02;
        break;
      case Between::kEnds:
        builder.tcp_flags = 0x11;
        break;
      case Between::kIsReset:
        builder.tcp_flags = 0x04;
        break;
      case Between::kSynAck:
        builder.tcp_flags = 0x12;
        break;
      case Between::kUnknown:
        builder.source_port = static_cast<uint16_t>(50000 + Draw(10000));
        break;
      case Between::kOtherPort:
        builder.destination_port = builder.destination_port == kL2Port ? kIpipPort : kL2Port;
        break;
      case Between::kOfOtherPolicy:
        builder.destination_port = kTurnsPort;
        break;
      case Between::kOfHash:
        builder.destination_port = kHashPort;
        break;
      case Between::kOfRange:
        builder.destination_port = static_cast<uint16_t>(kRangePort + Draw(10));
        break;
      case Between::kNobodys:
        builder.destination_port = 7;
        break;
      case Between::kStrangers:
        builder.destination = kind.v4 ? "203.0.113.77" : "2001:db8:f::77";
        break;
      case Between::kOtherProtocol:
        builder.protocol = kind.protocol == net::kProtocolTcp ? net::kProtocolUdp : net::kProtocolTcp;
        break;
      case Between::kOtherFamily:
        kind.v4 = !kind.v4;
        return Known(kind).Build();
      case Between::kFragment:
        builder.fragment = 0x2000;
        break;
      case Between::kExtended: {
        // Of IPv4 no options, but another protocol.
        builder.protocol = 0;
        break;
      }
      case Between::kTagged:
        builder.vlan_tags = 1;
        break;
      case Between::kFromLoopback:
        builder.source = kind.v4 ? "127.0.0.1" : "::1";
        break;
      case Between::kFromNobody:
        builder.source = kind.v4 ? "0.0.0.1" : "::";
        break;
      case Between::kFromGroup:
        builder.source = kind.v4 ? "224.0.0.1" : "ff02::1";
        break;
      case Between::kFromTheVip:
        builder.source = builder.destination;
        break;
      case Between::kFromNextToLoopback:
        builder.source = kind.v4 ? "128.0.0.1" : "::2";
        break;
      case Between::kFromNearTheVip:
        builder.source = kind.v4 ? "203.0.113.21" : "2001:db8:f::21";
        break;
      case Between::kForOtherStation:
        builder.destination_mac_first = 4;
        break;
      case Between::kTooLong:
      case Between::kHeaderTooLong:
      case Between::kHeaderTooShort:
      case Between::kInTwoBuffers:
      case Between::kCount:
        break;
    }
    Bytes frame = builder.Build();
    const size_t length_at = kIpOffset + (kind.v4 ? 3 : 5);
    if (other == Between::kTooLong) frame[length_at] = static_cast<uint8_t>(frame[length_at] + 1 + Draw(4));
    if (other == Between::kHeaderTooLong) frame[kind.l4() + 12] = 0xf0;
    if (other == Between::kHeaderTooShort) frame[kind.l4() + 12] = static_cast<uint8_t>(Draw(5) << 4);
    return frame;
  }

  // As ExpectAlike, with the frames of these places in two buffers.
  void ExpectAlikeInBuffers(const std::vector<Bytes>& frames, size_t first_of_two, size_t end_of_two) {
    const std::vector<uint64_t> offloads(frames.size(), Draw(2) == 0 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD);
    std::vector<size_t> segments(frames.size(), SIZE_MAX);
    for (size_t i = first_of_two; i < end_of_two; ++i) segments[i] = 40 + Draw(40);
    RunOn(*common_, frames, offloads, segments);
    RunOn(*stages_, frames, offloads, segments);
    ExpectEqual(*common_, *stages_, frames.size());
  }

  uint64_t ByTable() const { return common_->counters.rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Value(); }

  static constexpr size_t kClients = 70;
  static constexpr uint16_t kRangePort = 90;
};

// At every place, alone or two in a row, and in bursts whose last packets are looked at one by one.
TEST_P(FastTrackedTest, FollowsRunsAroundOthers) {
  for (const Kind& kind : kKinds) {
    for (size_t other = 0; other < static_cast<size_t>(Between::kCount); ++other) {
      for (size_t place = 0; place < stage::kBurstSize; ++place) {
        if (Draw(8) == 0) Begin(kind);
        const size_t count = Draw(3) == 0 ? std::max<size_t>(place + 1, 24 + Draw(8)) : stage::kBurstSize;
        const size_t end = std::min(place + 1 + Draw(2), count);
        std::vector<Bytes> frames;
        for (size_t i = 0; i < count; ++i) {
          const bool is_other = place <= i && i < end;
          frames.push_back(is_other ? FrameOf(static_cast<Between>(other), kind) : Known(kind).Build());
        }
        const bool in_two = static_cast<Between>(other) == Between::kInTwoBuffers;
        ASSERT_NO_FATAL_FAILURE(ExpectAlikeInBuffers(frames, place, in_two ? end : place))
            << "of kind " << other << " at " << place;
        ChangeSomething();
      }
    }
  }
  EXPECT_GT(ByTable(), 30000u);
}

// Of both families and protocols in turn.
TEST_P(FastTrackedTest, FollowsRunsOfSeveralKinds) {
  for (int round = 0; round < 300; ++round) {
    if (round % 8 == 0) {
      for (const Kind& kind : kKinds) Begin(kind);
    }
    std::vector<Bytes> frames;
    const size_t longest = 1 + Draw(16);
    while (frames.size() < stage::kBurstSize) {
      const Kind kind = kKinds[Draw(kKinds.size())];
      const size_t end = std::min(frames.size() + 1 + Draw(longest), stage::kBurstSize);
      while (frames.size() < end) {
        const bool is_other = Draw(16) == 0;
        frames.push_back(is_other ? FrameOf(static_cast<Between>(Draw(static_cast<size_t>(Between::kCount))), kind)
                                  : Known(kind).Build());
      }
    }
    ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames, 0)) << "in round " << round;
    ChangeSomething();
  }
  EXPECT_GT(ByTable(), 2000u);
}

// Where all are known the ladder has nothing to do, wherever their entries lie.
TEST_P(FastTrackedTest, FindsAllOfAFullTable) {
  for (const Kind& kind : kKinds) {
    Begin(kind);
    size_t in_second = 0;
    for (int round = 0; round < 20; ++round) {
      std::vector<Bytes> frames(stage::kBurstSize);
      std::generate(frames.begin(), frames.end(), [&] { return Known(kind).Build(); });
      FirstPass pass = LookUp(*common_, frames);
      stage::Burst& burst = common_->burst;
      for (size_t at = 0; at < burst.count; ++at) {
        ASSERT_EQ(burst.packets[at].past, kind.v4 ? stage::Past::kTrackedLookupV4 : stage::Past::kTrackedLookupV6);
        const size_t next = stage::SelectTrackedRun(at, burst, pass.wanted, pass.env);
        for (; at < next; ++at) {
          ASSERT_EQ(burst.packets[at].past, stage::Past::kSelection);
          ASSERT_TRUE(burst.packets[at].backend.valid());
        }
        if (at == burst.count) break;
        // One that found no room, or is in another state.
        ASSERT_EQ(burst.packets[at].past, stage::Past::kLookup);
        ASSERT_FALSE(GoesOn(burst.packets[at]));
      }
      in_second += static_cast<size_t>(std::count_if(burst.begin(), burst.end(), [&](const stage::Packet& packet) {
        if (packet.past != stage::Past::kSelection) return false;
        const auto place = static_cast<size_t>(&packet - burst.begin());
        return kind.v4 ? lb::FindWanted(*pass.wanted.v4[place].bucket, pass.wanted.v4[place].entry) == nullptr
                       : lb::FindWanted(*pass.wanted.v6[place].bucket, pass.wanted.v6[place].entry) == nullptr;
      }));
    }
    EXPECT_GT(in_second, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FastTrackedTest, testing::Range(1u, 4u));

}  // namespace
}  // namespace sluice::test
