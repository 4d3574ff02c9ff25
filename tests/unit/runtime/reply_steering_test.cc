#include "dataplane/runtime/reply_steering.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace sluice::runtime {
namespace {

// The key and the tuples of "Verifying the RSS hash calculation" (Microsoft, for NDIS).
constexpr std::array<uint8_t, 40> kKey = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                          0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                          0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                          0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

struct Vector {
  const char* source;
  uint16_t source_port;
  const char* destination;
  uint16_t destination_port;
  uint32_t hash;
};
constexpr Vector kVectors[] = {
    {"66.9.149.187", 2794, "161.142.100.80", 1766, 0x51ccc178},
    {"199.92.111.2", 14230, "65.69.140.83", 4739, 0xc626b0ea},
    {"24.19.198.95", 12898, "12.22.207.184", 38024, 0x5c2b394a},
    {"3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x40207d3d},
    {"3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0xdde51bbf},
    {"3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, "fe80::200:f8ff:fe21:67cf", 38024, 0x02d1feef},
};

lb::NatTuple TupleOf(const Vector& vector) {
  const auto source = *net::IpAddress::Parse(vector.source);
  const auto destination = *net::IpAddress::Parse(vector.destination);
  lb::NatTuple tuple;
  tuple.family = source.family();
  tuple.source = lb::LoadNatAddress(tuple.family, source.data());
  tuple.destination = lb::LoadNatAddress(tuple.family, destination.data());
  tuple.source_port = Be16::FromHost(vector.source_port);
  tuple.destination_port = Be16::FromHost(vector.destination_port);
  tuple.protocol = 6;
  return tuple;
}

// A table whose place p belongs to queue p, so that the queue tells the hash's lower bits.
RssSetup Identity(size_t size) {
  RssSetup setup;
  setup.key.assign(kKey.begin(), kKey.end());
  for (size_t i = 0; i < size; ++i) setup.queues.push_back(static_cast<uint16_t>(i));
  return setup;
}

TEST(ReplySteeringTest, PublishedHashes) {
  for (const Vector& vector : kVectors) {
    const lb::NatTuple tuple = TupleOf(vector);
    const auto place = static_cast<uint8_t>(vector.hash & 127);
    for (const uint8_t worker : {place, static_cast<uint8_t>(place ^ 1)}) {
      const RssSteering steering(Identity(128), WorkerId(worker));
      EXPECT_EQ(steering.ArrivesHere(tuple.family, steering.HashWithoutPort(tuple), tuple.destination_port),
                worker == place)
          << vector.source;
    }
  }
}

// With two workers and a table of 128, half of the ports of any flow are this worker's.
TEST(ReplySteeringTest, EveryWorkerHasItsShareOfPorts) {
  RssSetup setup = Identity(128);
  for (uint16_t& queue : setup.queues) queue %= 2;
  const RssSteering steering(setup, WorkerId(1));
  for (const Vector& vector : kVectors) {
    const lb::NatTuple tuple = TupleOf(vector);
    const uint32_t base = steering.HashWithoutPort(tuple);
    int mine = 0;
    for (uint16_t port = 1024; port < 2048; ++port) {
      mine += steering.ArrivesHere(tuple.family, base, Be16::FromHost(port));
    }
    EXPECT_EQ(mine, 512);
  }
}

TEST(ReplySteeringTest, NothingIsKnownOfADeviceThatIsNotThere) {
  EXPECT_FALSE(ReadRss(31, 2).has_value());
  EXPECT_FALSE(ReadRss(0, 1).has_value());
}

}  // namespace
}  // namespace sluice::runtime
