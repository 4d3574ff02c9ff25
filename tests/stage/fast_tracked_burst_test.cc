// That bursts which are carried without records come out as by the stages, and that any packet that is not of the kind
// stops them where it must, with records that are as if there had been some from the start: through two directors that
// differ in nothing but in having the fast path.

#include "dataplane/stage/fast_tracked_burst.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "dataplane/stage/eight_frames.h"
#include "tests/stage/cookie_frames.h"
#include "tests/stage/tracked_vips.h"

namespace sluice::test {
namespace {

// What a burst has beside the packets of the kind.
enum class Other {
  kKnown,  // one of them
  kBegins,
  kBeginsAgain,
  kUnknown,
  kEnds,
  kIsReset,
  kSynAck,
  kSynFin,
  kOfL2,
  kOfHash,
  kOfOtherPolicy,
  kOverIpv6,
  kNobodys,
  kMartian,
  kDatagram,
  kOfOtherFamily,
  kFits,  // as long as a tunnel takes it
  kTooLong,
  kFromItsBackend,
  kWithOtherHeadroom,
  kWithLittleHeadroom,
  kCount
};

class FastTrackedBurstTest : public TrackedVipsTest {
 protected:
  FastTrackedBurstTest() {
    fixture_.AddVip(kVip, net::kProtocolTcp, kIpv6Port, AddPool(false), fwd::ForwardingMode::kIpip);
    AddVip(kVip, net::kProtocolTcp, kOtherIpipPort, fwd::ForwardingMode::kIpip);
    Rebuild();
  }

  static FrameBuilder FromClient(size_t client, uint16_t port = kIpipPort) {
    return {.source = "198.51.100." + std::to_string(1 + client % 99),
            .destination = kVip,
            .source_port = static_cast<uint16_t>(1024 + client / 99),
            .destination_port = port,
            .tcp_flags = 0x10,
            .tos = static_cast<uint8_t>(client)};
  }
  // To several VIPs of the kind.
  FrameBuilder Known() {
    const auto ports = std::to_array<uint16_t>({kIpipPort, kOtherIpipPort, kTurnsPort});
    FrameBuilder builder = FromClient(Draw(kClients), ports[Draw(ports.size())]);
    builder.payload = Draw(40);
    builder.padding = Draw(3) == 0 ? Draw(10) : 0;
    return builder;
  }
  FrameBuilder First() {
    FrameBuilder builder = FromClient(kClients + ++begun_, Draw(2) == 0 ? kIpipPort : kOtherIpipPort);
    builder.tcp_flags = 0x02;
    return builder;
  }

  // Of a place of a burst: the frame, and how far it is from the start of its buffer.
  struct Placed {
    Bytes frame;
    uint16_t headroom = RTE_PKTMBUF_HEADROOM;
  };
  Placed Make(Other other) {
    FrameBuilder builder = Known();
    Placed placed;
    switch (other) {
      case Other::kBegins:
        builder = First();
        break;
      case Other::kBeginsAgain:
        builder.tcp_flags = 0x02;
        break;
      case Other::kUnknown:
        builder = First();
        builder.tcp_flags = 0x10;
        break;
      case Other::kEnds:
        builder.tcp_flags = 0x11;
        break;
      case Other::kIsReset:
        builder.tcp_flags = 0x04;
        break;
      case Other::kSynAck:
        builder = First();
        builder.tcp_flags = 0x12;
        break;
      case Other::kSynFin:
        builder = First();
        builder.tcp_flags = 0x03;
        break;
      case Other::kOfL2:
        if (Draw(2) == 0) builder = First();
        builder.destination_port = kL2Port;
        break;
      case Other::kOfHash:
        builder.destination_port = kHashPort;
        break;
      case Other::kOfOtherPolicy:
        builder = First();
        builder.destination_port = kTurnsPort;
        break;
      case Other::kOverIpv6:
        builder.destination_port = kIpv6Port;
        break;
      case Other::kNobodys:
        builder.destination_port = 7;
        break;
      case Other::kMartian:
        builder.source = "127.0.0.1";
        break;
      case Other::kDatagram:
        builder.protocol = net::kProtocolUdp;
        break;
      case Other::kOfOtherFamily:
        builder.source = "2001:db8:c::1";
        builder.destination = "2001:db8:f::20";
        break;
      case Other::kFits:
      case Other::kTooLong:
        builder.payload = kMtu - 20 - 40 + (other == Other::kTooLong ? 1 : 0);
        break;
      case Other::kWithOtherHeadroom:
        placed.headroom = static_cast<uint16_t>(20 + Draw(200));
        break;
      case Other::kWithLittleHeadroom:
        placed.headroom = static_cast<uint16_t>(Draw(20));
        break;
      case Other::kKnown:
      case Other::kFromItsBackend:
      case Other::kCount:
        break;
    }
    placed.frame = builder.Build();
    if (other == Other::kFromItsBackend) {
      // One of the two that connections through the tunnel have (StateFixture::hop).
      builder.destination_port = kIpipPort;
      placed.frame = builder.Build();
      const auto station = std::to_array<uint8_t>({2, 0, 0, 0, 1, static_cast<uint8_t>(12 + Draw(2))});
      std::copy(station.begin(), station.end(), &placed.frame[6]);
    }
    return placed;
  }

  // Through both directors. True: without records.
  bool Went(const std::vector<Placed>& burst) {
    std::vector<Bytes> frames;
    std::vector<uint16_t> headrooms;
    for (const Placed& placed : burst) {
      frames.push_back(placed.frame);
      headrooms.push_back(placed.headroom);
    }
    std::vector<uint64_t> offloads(frames.size(), Draw(2) == 0 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD);
    for (size_t i = other_verdict_from_; i < offloads.size(); ++i) offloads[i] ^= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    const std::vector<size_t> segments(frames.size(), SIZE_MAX);
    for (Director* const director : {common_.get(), stages_.get()})
      RunOn(*director, frames, offloads, segments, headrooms);
    ExpectEqual(*common_, *stages_, frames.size());
    const bool went = common_->burst.count == 0;
    whole_ += went ? 1 : 0;
    return went;
  }
  std::vector<Placed> Burst(Other other) {
    std::vector<Placed> burst(stage::kBurstSize);
    std::generate(burst.begin(), burst.end(), [&] { return Make(other); });
    return burst;
  }

  // All clients have connections through all tunnels, as far as there is room.
  void BeginAll() {
    for (const uint16_t port : {kIpipPort, kOtherIpipPort, kTurnsPort, kIpv6Port}) {
      for (const uint8_t flags : {uint8_t{0x02}, uint8_t{0x10}}) {
        for (size_t client = 0; client < kClients; ++client) {
          FrameBuilder builder = FromClient(client, port);
          builder.tcp_flags = flags;
          Went({{.frame = builder.Build()}});
        }
      }
    }
  }

  static constexpr const char* kVip = "203.0.113.20";
  static constexpr size_t kClients = 8;
  static constexpr size_t kMtu = 1500;
  static constexpr size_t kTcpFlags = kIpOffset + 20 + 13;
  static constexpr uint16_t kIpv6Port = 87, kOtherIpipPort = 88;
  // From this place on frames have another verdict of the device than those before.
  size_t other_verdict_from_ = stage::kBurstSize;
  size_t begun_ = 0;
  size_t whole_ = 0;
};

// Connections that go on, that begin, and both; where the device sums up headers and where it does not.
TEST_P(FastTrackedBurstTest, CarriesWholeBursts) {
  for (const bool device_sums : {false, true}) {
    for (stage::PortTraits& port : node_.ports) port.tx_ipv4_checksum = device_sums;
    for (int round = 0; round < 40; ++round) {
      EndAll();
      BeginAll();
      ASSERT_TRUE(Went(Burst(Other::kKnown)));
      ASSERT_TRUE(Went(Burst(Other::kFits)));
      std::vector<Placed> burst = Burst(Other::kKnown);
      for (Placed& placed : burst) {
        if (Draw(3) == 0) placed = Make(Other::kBegins);
      }
      ASSERT_NO_FATAL_FAILURE(Went(burst));
      ASSERT_NO_FATAL_FAILURE(Went(Burst(Other::kBegins)));
      now_s_ += static_cast<uint32_t>(Draw(2));
    }
  }
  EXPECT_GT(whole_, 2u * 40 * 2 + 20) << "in a table so small some that begin find no room";
  EXPECT_GT(common_->counters.rungs[static_cast<size_t>(fwd::Rung::kScheduler)].Value(), 1000u);
}

// Where somebody reads them.
TEST_P(FastTrackedBurstTest, MakesRecordsWhereTheyAreWanted) {
  BeginAll();
  wants_records_ = true;
  for (const Other other : {Other::kKnown, Other::kBegins}) {
    ASSERT_FALSE(Went(Burst(other)));
    ASSERT_EQ(common_->burst.count, stage::kBurstSize);
  }
}

// What follows the packet that begins a connection, or the same once more, wherever they are.
TEST_P(FastTrackedBurstTest, KnowsConnectionsThatBeganInTheSameBurst) {
  for (size_t second = 1; second < stage::kBurstSize; ++second) {
    for (const size_t first : {second - 1, Draw(second)}) {
      for (const uint8_t flags : {uint8_t{0x02}, uint8_t{0x10}}) {
        EndAll();
        BeginAll();
        std::vector<Placed> burst = Burst(Draw(2) == 0 ? Other::kBegins : Other::kKnown);
        burst[first] = Make(Other::kBegins);
        burst[second] = burst[first];
        burst[second].frame[kTcpFlags] = flags;
        ASSERT_FALSE(Went(burst)) << "of " << first << " at " << second;
      }
    }
  }
}

// Eights of the same kind, of which the device says different things.
TEST_P(FastTrackedBurstTest, TakesVerdictsThatDifferByEights) {
  BeginAll();
  for (other_verdict_from_ = 0; other_verdict_from_ <= stage::kBurstSize; ++other_verdict_from_) {
    const bool by_eights = other_verdict_from_ % stage::kEight == 0;
    EXPECT_EQ(Went(Burst(Other::kKnown)), by_eights) << "another from " << other_verdict_from_ << " on";
  }
}

// Where none has room for the outer header, the stages say so.
TEST_P(FastTrackedBurstTest, AsksForHeadroom) {
  BeginAll();
  for (const uint16_t headroom : std::to_array<uint16_t>({0, 19, 20, 21, 200})) {
    std::vector<Placed> burst = Burst(Other::kKnown);
    for (Placed& placed : burst) placed.headroom = headroom;
    EXPECT_EQ(Went(burst), headroom >= 20) << headroom;
  }
}

// One of each kind at every place, alone, with its like before it, and among connections that begin, while backends
// change; in bursts that are full and that are not.
TEST_P(FastTrackedBurstTest, StopsAtOthers) {
  for (size_t other = 0; other < static_cast<size_t>(Other::kCount); ++other) {
    for (size_t place = 0; place < stage::kBurstSize; ++place) {
      if (Draw(6) == 0) EndAll();
      if (Draw(3) == 0) BeginAll();
      std::vector<Placed> burst = Burst(Draw(4) == 0 ? Other::kBegins : Other::kKnown);
      burst[place] = Make(static_cast<Other>(other));
      if (Draw(4) == 0) burst[Draw(place + 1)] = Make(static_cast<Other>(other));
      if (Draw(8) == 0) burst.resize(1 + Draw(stage::kBurstSize));
      ASSERT_NO_FATAL_FAILURE(Went(burst)) << "at other " << other << " at " << place;
      ChangeSomething();
    }
  }
  EXPECT_GT(whole_, 20u);
}

// All kinds together, by a port that sums up headers and one that does not, with tunnels from one address and several.
TEST_P(FastTrackedBurstTest, KeepsToAnyMixture) {
  node_.ports[1].tx_ipv4_checksum = true;
  node_.ports[1].mtu_bytes = 600;
  node_.tunnel_source_v4.prefix = {192, 0, 2, 128};
  node_.tunnel_source_v4.host_mask = {0, 0, 0, 15};
  for (int round = 0; round < 3000; ++round) {
    node_.tunnel_source_v4.enabled = round % 16 == 0;
    if (Draw(40) == 0) EndAll();
    if (Draw(8) == 0) BeginAll();
    LimitUnconfirmed(Draw(8) == 0 ? Draw(40) : kConnections);
    other_verdict_from_ = Draw(32) == 0 ? Draw(stage::kBurstSize) : stage::kBurstSize;
    std::vector<Placed> burst = Burst(Other::kKnown);
    const size_t others = Draw(3) == 0 ? 0 : Draw(4);
    for (size_t i = 0; i < others; ++i)
      burst[Draw(burst.size())] = Make(static_cast<Other>(Draw(static_cast<size_t>(Other::kCount))));
    // The first again, behind what may have changed its connection.
    if (Draw(3) == 0) burst.back() = burst[Draw(burst.size())];
    ASSERT_NO_FATAL_FAILURE(Went(burst)) << "in round " << round;
    ChangeSomething();
  }
  EXPECT_GT(whole_, 200u);
}

// The table fills, up to where there is room for none.
TEST_P(FastTrackedBurstTest, EntersIntoFullBuckets) {
  LimitUnconfirmed(4 * kConnections);
  const fwd::TableCounters& counters = common_->counters.table_v4;
  for (int round = 0; round < 20; ++round) {
    EndAll();
    for (size_t i = 0; i < 2 * kConnections / stage::kBurstSize; ++i) {
      std::vector<Placed> burst = Burst(Other::kBegins);
      if (Draw(4) == 0) burst[1 + Draw(stage::kBurstSize - 1)] = burst[0];
      ASSERT_NO_FATAL_FAILURE(Went(burst));
      for (Placed& placed : burst) placed.frame[kTcpFlags] = 0x10;
      ASSERT_NO_FATAL_FAILURE(Went(burst));
      ASSERT_NO_FATAL_FAILURE(Went(burst));
    }
  }
  EXPECT_GT(counters.insert_full.Value(), 0u);
  EXPECT_GT(whole_, 20u);
}

// Nothing is left to the ladder, wherever the entries lie.
TEST_P(FastTrackedBurstTest, FindsAllWhereverTheyLie) {
  const Counter& by_table = common_->counters.rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)];
  std::vector<Bytes> known;
  for (size_t i = 0; i < 2 * kConnections; ++i) {
    FrameBuilder builder = First();
    Went({{.frame = builder.Build()}});
    builder.tcp_flags = 0x10;
    Went({{.frame = builder.Build()}});
    const uint64_t before = by_table.Value();
    Went({{.frame = builder.Build()}});
    if (by_table.Value() != before) known.push_back(builder.Build());  // it has found room
  }
  size_t in_second = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<Bytes> frames(stage::kBurstSize);
    std::generate(frames.begin(), frames.end(), [&] { return Pick(known); });
    const FirstPass pass = LookUp(*common_, frames);
    ASSERT_TRUE(pass.looked.sent.port.valid());
    in_second +=
        static_cast<size_t>(std::count_if(pass.wanted.v4.begin(), pass.wanted.v4.end(), [](const auto& wanted) {
          return lb::FindWanted(*wanted.bucket, wanted.entry) == nullptr;
        }));
  }
  EXPECT_GT(in_second, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FastTrackedBurstTest, testing::Range(1u, 4u));

}  // namespace
}  // namespace sluice::test
