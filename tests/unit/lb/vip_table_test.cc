#include "dataplane/lb/vip_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

namespace sluice::lb {
namespace {

net::IpAddress Address(const char* text) { return *net::IpAddress::Parse(text); }

TEST(VipTableTest, FindsByAddressProtocolAndPort) {
  const VipTable table({{.address = Address("203.0.113.10"), .protocol = 6, .port = 80, .id = VipId(0)},
                        {.address = Address("203.0.113.10"), .protocol = 17, .port = 80, .id = VipId(1)},
                        {.address = Address("2001:db8::10"), .protocol = 6, .port = 443, .id = VipId(2)}});
  const Be32 v4 = Address("203.0.113.10").v4();
  EXPECT_EQ(table.LookupV4(v4, 6, Be16::FromHost(80)), VipId(0));
  EXPECT_EQ(table.LookupV4(v4, 17, Be16::FromHost(80)), VipId(1));
  EXPECT_FALSE(table.LookupV4(v4, 6, Be16::FromHost(81)).valid());
  EXPECT_FALSE(table.LookupV4(Address("203.0.113.11").v4(), 6, Be16::FromHost(80)).valid());
  EXPECT_TRUE(table.HasAddressV4(v4));
  EXPECT_FALSE(table.HasAddressV4(Address("203.0.113.11").v4()));
  const net::IpAddress v6 = Address("2001:db8::10");
  EXPECT_EQ(table.LookupV6(v6.data(), 6, Be16::FromHost(443)), VipId(2));
  EXPECT_FALSE(table.LookupV6(v6.data(), 17, Be16::FromHost(443)).valid());
  EXPECT_TRUE(table.HasAddressV6(v6.data()));
  EXPECT_FALSE(table.HasAddressV6(Address("2001:db8::11").data()));
}

TEST(VipTableTest, EmptyFindsNothing) {
  const VipTable table({});
  EXPECT_FALSE(table.LookupV4(Be32::FromRaw(0), 0, Be16::FromRaw(0)).valid());
  EXPECT_FALSE(table.HasAddressV4(Be32::FromRaw(0)));
  EXPECT_FALSE(table.HasAddressV6(Address("::").data()));
}

TEST(VipTableTest, AgreesWithAMapOnThousandsOfVips) {
  std::mt19937 random(6);
  std::map<std::tuple<net::IpAddress, uint8_t, uint16_t>, VipId> map;
  std::vector<VipTable::Vip> vips;
  while (vips.size() < 10000) {
    std::array<uint8_t, 16> bytes{};
    bytes[0] = 10;
    bytes[3] = static_cast<uint8_t>(random());
    const auto family = random() % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6;
    const VipTable::Vip vip{.address = net::IpAddress::FromBytes(family, bytes.data()),
                            .protocol = static_cast<uint8_t>(random() % 2 == 0 ? 6 : 17),
                            .port = static_cast<uint16_t>(1 + random() % 200),
                            .id = VipId(static_cast<uint16_t>(vips.size()))};
    if (map.emplace(std::tuple(vip.address, vip.protocol, vip.port), vip.id).second) vips.push_back(vip);
  }
  const VipTable table(vips);
  for (int octet = 0; octet < 256; ++octet) {
    for (const auto family : {net::Family::kIpv4, net::Family::kIpv6}) {
      std::array<uint8_t, 16> bytes{10, 0, 0, static_cast<uint8_t>(octet)};
      const auto address = net::IpAddress::FromBytes(family, bytes.data());
      for (uint16_t port = 1; port <= 210; ++port) {
        for (const uint8_t protocol : {uint8_t{6}, uint8_t{17}}) {
          const auto expected = map.find({address, protocol, port});
          const VipId found = address.is_v4() ? table.LookupV4(address.v4(), protocol, Be16::FromHost(port))
                                              : table.LookupV6(address.data(), protocol, Be16::FromHost(port));
          ASSERT_EQ(found, expected == map.end() ? VipId() : expected->second);
        }
      }
    }
  }
}

TEST(VipTableDeathTest, RefusesTheSameVipTwice) {
  const VipTable::Vip vip{.address = Address("1.2.3.4"), .protocol = 6, .port = 80, .id = VipId(0)};
  EXPECT_DEATH(VipTable({vip, vip}), "check failed");
}

}  // namespace
}  // namespace sluice::lb
