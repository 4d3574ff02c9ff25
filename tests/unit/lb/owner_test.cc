#include "dataplane/lb/owner.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "dataplane/lb/flow_hash.h"

namespace sluice::lb {
namespace {

constexpr std::array<uint8_t, 16> kAddress = {198, 51, 100, 7, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

uint64_t Key() { return HashKeys(Seed{1, 2, 3}).owner; }

// Counts of owners, each of which should be near its share.
void ExpectEven(const std::vector<int>& owned, int total) {
  const int share = total / static_cast<int>(owned.size());
  for (const int count : owned) {
    EXPECT_GT(count, share * 8 / 10);
    EXPECT_LT(count, share * 12 / 10);
  }
}

TEST(OwnerTest, OneWorkerOwnsAll) {
  EXPECT_EQ(OwnerOfClient(Key(), net::Family::kIpv4, kAddress.data(), Be16::FromHost(4711), 1), WorkerId(0));
  EXPECT_EQ(OwnerOfFragments(~uint64_t{0}, 1), WorkerId(0));
}

TEST(OwnerTest, ClientsAreSharedOutEvenlyByAddressAndByPort) {
  for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    for (const size_t workers : {size_t{2}, size_t{3}, size_t{16}}) {
      std::vector<int> by_port(workers), by_address(workers);
      std::array<uint8_t, 16> address = kAddress;
      for (int i = 0; i < 20000; ++i) {
        const Be16 port = Be16::FromHost(static_cast<uint16_t>(1024 + i));
        ++by_port[OwnerOfClient(Key(), family, kAddress.data(), port, workers).index()];
        address[2] = static_cast<uint8_t>(i >> 8);
        address[3] = static_cast<uint8_t>(i);
        ++by_address[OwnerOfClient(Key(), family, address.data(), Be16::FromHost(443), workers).index()];
      }
      ExpectEven(by_port, 20000);
      ExpectEven(by_address, 20000);
    }
  }
}

TEST(OwnerTest, EveryByteOfTheClientCounts) {
  for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
    const size_t size = family == net::Family::kIpv4 ? 4 : 16;
    for (size_t byte = 0; byte < size; ++byte) {
      std::vector<int> owned(4);
      std::array<uint8_t, 16> address = kAddress;
      for (int value = 0; value < 256; ++value) {
        address[byte] = static_cast<uint8_t>(value);
        ++owned[OwnerOfClient(Key(), family, address.data(), Be16::FromHost(443), 4).index()];
      }
      for (const int count : owned) EXPECT_GT(count, 0) << "byte " << byte;
    }
  }
}

TEST(OwnerTest, WithoutTheKeyOwnersCannotBeTold) {
  int same = 0;
  const uint64_t other = HashKeys(Seed{9}).owner;
  for (uint16_t port = 1; port <= 1000; ++port) {
    const auto owner = [port](uint64_t key) {
      return OwnerOfClient(key, net::Family::kIpv4, kAddress.data(), Be16::FromHost(port), 4);
    };
    same += owner(Key()) == owner(other) ? 1 : 0;
  }
  EXPECT_GT(same, 150);
  EXPECT_LT(same, 350);
}

TEST(OwnerTest, FragmentsDifferByEachPartOfTheirId) {
  const std::array<uint8_t, 16> there = {203, 0, 113, 10};
  const FragmentId base = {
      .family = net::Family::kIpv4, .protocol = 17, .id = 1, .source = kAddress.data(), .destination = there.data()};
  std::vector<FragmentId> others(4, base);
  others[0].protocol = 6;
  others[1].id = 2;
  std::swap(others[2].source, others[2].destination);
  others[3].family = net::Family::kIpv6;
  for (const FragmentId& other : others) EXPECT_NE(FragmentHash(Key(), base), FragmentHash(Key(), other));
  std::vector<int> owned(3);
  for (uint32_t id = 0; id < 20000; ++id) {
    FragmentId next = base;
    next.id = id;
    ++owned[OwnerOfFragments(FragmentHash(Key(), next), 3).index()];
  }
  ExpectEven(owned, 20000);
}

}  // namespace
}  // namespace sluice::lb
