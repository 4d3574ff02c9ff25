#include "dataplane/lb/nat_ports.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>

namespace sluice::lb {
namespace {

LocalAddresses Addresses(uint8_t count) {
  LocalAddresses local;
  local.count = count;
  for (uint8_t i = 0; i < count; ++i) local.addresses[i][0] = static_cast<uint8_t>(i + 1);
  return local;
}

LocalEnds Ends(uint16_t first, uint16_t last) {
  LocalEnds ends;
  ends.v4 = Addresses(1);
  ends.first_port = first;
  ends.last_port = last;
  return ends;
}

uint64_t Scattered(uint64_t i) {
  i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9 + 1;
  i = (i ^ i >> 27) * 0x94d049bb133111eb;
  return i ^ i >> 31;
}

TEST(NatPortsTest, EveryPortIsOneWorkersAndTheInverseKnowsWhose) {
  for (const auto& [first, last] : {std::pair<uint16_t, uint16_t>{1024, 65535}, {0, 65535}, {5000, 5006}, {7, 7}}) {
    for (const size_t workers : {1u, 2u, 3u, 7u, 16u, 255u}) {
      const LocalEnds ends = Ends(first, last);
      uint32_t next = first;
      for (size_t w = 0; w < workers; ++w) {
        const WorkerId worker(static_cast<uint8_t>(w));
        const LocalPortPart part = PortsOfWorker(ends, worker, workers);
        EXPECT_EQ(part.first, next);
        for (uint32_t port = part.first; port < part.first + part.count; ++port) {
          ASSERT_EQ(WorkerOfLocalPort(ends, Be16::FromHost(static_cast<uint16_t>(port)), workers), worker) << port;
        }
        next = part.first + part.count;
      }
      EXPECT_EQ(next, uint32_t{last} + 1);
    }
  }
}

TEST(NatPortsTest, TheRangeAndTheAddresses) {
  const LocalEnds ends = Ends(1024, 2000);
  EXPECT_FALSE(ends.HasPort(Be16::FromHost(1023)));
  EXPECT_TRUE(ends.HasPort(Be16::FromHost(1024)));
  EXPECT_TRUE(ends.HasPort(Be16::FromHost(2000)));
  EXPECT_FALSE(ends.HasPort(Be16::FromHost(2001)));
  const NatAddress own = {1};
  const NatAddress other = {1, 1};
  EXPECT_TRUE(ends.HasAddress(net::Family::kIpv4, own.data()));
  EXPECT_FALSE(ends.HasAddress(net::Family::kIpv4, other.data()));
  EXPECT_FALSE(ends.HasAddress(net::Family::kIpv6, own.data()));
}

// A range of few ports is used to the last one before it is exhausted.
TEST(NatPortsTest, FewPortsAreAllUsed) {
  for (const uint8_t addresses : {uint8_t{1}, uint8_t{2}, uint8_t{4}}) {
    const LocalAddresses local = Addresses(addresses);
    std::set<std::pair<uint8_t, uint16_t>> used;
    const auto is_free = [&](const NatTuple& reply) {
      return used.contains({reply.destination[0], reply.destination_port.Host()}) ? kEndTaken : kEndFree;
    };
    for (uint64_t flow = 0; flow < 30u * addresses; ++flow) {
      NatTuple reply;
      ASSERT_EQ(kEndFree, ChooseLocalEnd(local, {.first = 100, .count = 30}, Scattered(flow), nullptr, reply, is_free))
          << flow;
      EXPECT_GE(reply.destination_port.Host(), 100);
      EXPECT_LT(reply.destination_port.Host(), 130);
      EXPECT_TRUE(used.insert({reply.destination[0], reply.destination_port.Host()}).second);
    }
    NatTuple reply;
    EXPECT_EQ(kEndTaken, ChooseLocalEnd(local, {.first = 100, .count = 30}, Scattered(1), nullptr, reply, is_free));
  }
}

// Of many ports nineteen in twenty can be used before any flow finds none.
TEST(NatPortsTest, ManyPortsAreUsedToNineteenTwentieths) {
  constexpr uint32_t kPortCount = 20'000;
  std::set<uint16_t> used;
  uint32_t probes = 0;
  const auto is_free = [&](const NatTuple& reply) {
    ++probes;
    return used.contains(reply.destination_port.Host()) ? kEndTaken : kEndFree;
  };
  uint32_t refused = 0;
  for (uint64_t flow = 0; used.size() < kPortCount * 19 / 20; ++flow) {
    NatTuple reply;
    probes = 0;
    if (ChooseLocalEnd(Addresses(1), {.first = 1024, .count = kPortCount}, Scattered(flow), nullptr, reply, is_free) ==
        kEndFree) {
      used.insert(reply.destination_port.Host());
    } else {
      ++refused;
    }
    ASSERT_LE(probes, kMaxPortProbes);
  }
  EXPECT_LE(refused, 5u);
}

TEST(NatPortsTest, TheSameFlowBeginsWithTheSameEnd) {
  const auto all_free = [](const NatTuple&) { return kEndFree; };
  for (uint64_t flow = 0; flow < 100; ++flow) {
    NatTuple a;
    NatTuple b;
    ASSERT_EQ(kEndFree,
              ChooseLocalEnd(Addresses(3), {.first = 1024, .count = 60000}, Scattered(flow), nullptr, a, all_free));
    ASSERT_EQ(kEndFree,
              ChooseLocalEnd(Addresses(3), {.first = 1024, .count = 60000}, Scattered(flow), nullptr, b, all_free));
    EXPECT_EQ(a, b);
  }
}

// A NIC that brings one port in eight to this worker.
class EveryEighth final : public ReplySteering {
 public:
  uint32_t HashWithoutPort(const NatTuple& reply) const override { return reply.destination[0]; }
  bool ArrivesHere(net::Family, uint32_t base, Be16 port) const override { return (base + port.Host()) % 8 == 3; }
};

TEST(NatPortsTest, PortsThatTheNicSteersHereArePreferred) {
  const EveryEighth steering;
  const auto all_free = [](const NatTuple&) { return kEndFree; };
  int steered = 0;
  for (uint64_t flow = 0; flow < 1000; ++flow) {
    NatTuple reply;
    ASSERT_EQ(kEndFree, ChooseLocalEnd(Addresses(2), {.first = 1024, .count = 60000}, Scattered(flow), &steering, reply,
                                       all_free));
    steered += steering.ArrivesHere(reply.family, reply.destination[0], reply.destination_port);
  }
  EXPECT_EQ(steered, 1000);
}

TEST(NatPortsTest, WithoutASteeredPortAnyFreeOneWillDo) {
  const EveryEighth steering;
  const auto none_steered = [&](const NatTuple& reply) {
    return steering.ArrivesHere(reply.family, reply.destination[0], reply.destination_port) ? kEndTaken : kEndFree;
  };
  for (uint64_t flow = 0; flow < 100; ++flow) {
    NatTuple reply;
    EXPECT_EQ(kEndFree, ChooseLocalEnd(Addresses(2), {.first = 1024, .count = 60000}, Scattered(flow), &steering, reply,
                                       none_steered));
  }
}

TEST(NatPortsTest, WithoutAFreePortTheOldestUnconfirmedUseGives) {
  const auto offer = [](const NatTuple& reply) -> EndOffer {
    switch (reply.destination_port.Host()) {
      case 105:
        return 7;
      case 107:
        return 9;
      case 120:
        return 8;
      default:
        return kEndTaken;
    }
  };
  NatTuple reply;
  EXPECT_EQ(ChooseLocalEnd(Addresses(1), {.first = 100, .count = 30}, Scattered(3), nullptr, reply, offer), 9u);
  EXPECT_EQ(reply.destination_port.Host(), 107);
}

TEST(NatPortsTest, NoAddressOrNoPortIsNoEnd) {
  const auto all_free = [](const NatTuple&) { return kEndFree; };
  NatTuple reply;
  EXPECT_EQ(kEndTaken, ChooseLocalEnd(Addresses(0), {.first = 1, .count = 9}, 1, nullptr, reply, all_free));
  EXPECT_EQ(kEndTaken, ChooseLocalEnd(Addresses(1), {.first = 1, .count = 0}, 1, nullptr, reply, all_free));
}

}  // namespace
}  // namespace sluice::lb
