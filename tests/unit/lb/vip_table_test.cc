#include "dataplane/lb/vip_table.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace sluice::lb {
namespace {

VipTable::Vip Vip(const std::string& prefix, uint8_t protocol, uint16_t first, uint16_t last, uint16_t id) {
  return {.prefix = *net::IpPrefix::Parse(prefix),
          .protocol = protocol,
          .first_port = first,
          .last_port = last,
          .id = VipId(id)};
}

VipId Lookup(const VipTable& table, const std::string& address, uint8_t protocol, uint16_t port) {
  const auto parsed = *net::IpAddress::Parse(address);
  return parsed.is_v4() ? table.LookupV4(parsed.v4(), protocol, Be16::FromHost(port))
                        : table.LookupV6(parsed.data(), protocol, Be16::FromHost(port));
}

VipAddressV6 KeyV6(const uint8_t* bytes) {
  VipAddressV6 address;
  std::memcpy(&address.high, bytes, 8);
  std::memcpy(&address.low, bytes + 8, 8);
  return address;
}

VipId FindExact(const VipTable& table, const net::IpAddress& address, uint8_t protocol, uint16_t port) {
  const Be16 wire_port = Be16::FromHost(port);
  return address.is_v4() ? table.exact_v4().Find({address.v4().raw()}, protocol, wire_port)
                         : table.exact_v6().Find(KeyV6(address.data()), protocol, wire_port);
}

template <typename Address>
bool MayHave(const ExactVips<Address>& vips, const Address& address) {
  EXPECT_EQ(vips.finder().MayHave(address), vips.MayHave(address));
  return vips.MayHave(address);
}

bool MayHave(const VipTable& table, const net::IpAddress& address) {
  return address.is_v4() ? MayHave(table.exact_v4(), {address.v4().raw()})
                         : MayHave(table.exact_v6(), KeyV6(address.data()));
}

TEST(VipTableTest, FindsByAddressProtocolAndPort) {
  const VipTable table(
      {Vip("203.0.113.10", 6, 80, 80, 0), Vip("203.0.113.10", 17, 80, 80, 1), Vip("2001:db8::10", 6, 443, 443, 2)});
  EXPECT_EQ(Lookup(table, "203.0.113.10", 6, 80), VipId(0));
  EXPECT_EQ(Lookup(table, "203.0.113.10", 17, 80), VipId(1));
  EXPECT_FALSE(Lookup(table, "203.0.113.10", 6, 81).valid());
  EXPECT_FALSE(Lookup(table, "203.0.113.11", 6, 80).valid());
  EXPECT_EQ(Lookup(table, "2001:db8::10", 6, 443), VipId(2));
  EXPECT_FALSE(Lookup(table, "2001:db8::10", 17, 443).valid());
  EXPECT_TRUE(table.DescribeV4(net::IpAddress::Parse("203.0.113.10")->v4()).is_vip);
  EXPECT_FALSE(table.DescribeV4(net::IpAddress::Parse("203.0.113.11")->v4()).is_vip);
  EXPECT_TRUE(table.DescribeV6(net::IpAddress::Parse("2001:db8::10")->data()).is_vip);
  EXPECT_FALSE(table.DescribeV6(net::IpAddress::Parse("2001:db8::11")->data()).is_vip);
}

TEST(VipTableTest, EmptyFindsNothing) {
  const VipTable table({});
  EXPECT_FALSE(Lookup(table, "0.0.0.0", 0, 0).valid());
  EXPECT_FALSE(table.DescribeV4(Be32::FromRaw(0)).is_vip);
  EXPECT_FALSE(table.DescribeV6(net::IpAddress::Parse("::")->data()).is_vip);
}

TEST(VipTableTest, SinglePortBeforeRangeBeforeAllPorts) {
  const VipTable table({Vip("192.0.2.1", 6, 0, 65535, 0), Vip("192.0.2.1", 6, 8000, 8999, 1),
                        Vip("192.0.2.1", 6, 8080, 8080, 2), Vip("192.0.2.1", 17, 5000, 5001, 3)});
  EXPECT_EQ(Lookup(table, "192.0.2.1", 6, 8080), VipId(2));
  EXPECT_EQ(Lookup(table, "192.0.2.1", 6, 8000), VipId(1));
  EXPECT_EQ(Lookup(table, "192.0.2.1", 6, 8999), VipId(1));
  EXPECT_EQ(Lookup(table, "192.0.2.1", 6, 9000), VipId(0));
  EXPECT_EQ(Lookup(table, "192.0.2.1", 6, 0), VipId(0));
  EXPECT_EQ(Lookup(table, "192.0.2.1", 17, 5001), VipId(3));
  EXPECT_FALSE(Lookup(table, "192.0.2.1", 17, 5002).valid());
}

TEST(VipTableTest, TheLongestPrefixWinsWhateverItsPorts) {
  const VipTable table({Vip("10.0.0.0/8", 6, 80, 80, 0), Vip("10.1.0.0/16", 6, 0, 65535, 1),
                        Vip("10.1.2.3", 6, 443, 443, 2), Vip("2001:db8::/33", 6, 80, 80, 3),
                        Vip("2001:db8:0:1::/64", 6, 1, 100, 4), Vip("0.0.0.0/0", 17, 53, 53, 5)});
  EXPECT_EQ(Lookup(table, "10.9.9.9", 6, 80), VipId(0));
  EXPECT_EQ(Lookup(table, "10.1.9.9", 6, 80), VipId(1));
  EXPECT_EQ(Lookup(table, "10.1.2.3", 6, 443), VipId(2));
  EXPECT_EQ(Lookup(table, "10.1.2.3", 6, 80), VipId(1));
  EXPECT_FALSE(Lookup(table, "10.9.9.9", 6, 81).valid());
  EXPECT_EQ(Lookup(table, "2001:db8:7fff::1", 6, 80), VipId(3));
  EXPECT_FALSE(Lookup(table, "2001:db8:8000::1", 6, 80).valid());
  EXPECT_EQ(Lookup(table, "2001:db8:0:1::ff", 6, 80), VipId(4));
  EXPECT_EQ(Lookup(table, "9.9.9.9", 17, 53), VipId(5));
}

TEST(VipTableTest, AnAddressAnswersEchoWhenAnyOfItsVipsDoes) {
  auto vips = std::vector{Vip("192.0.2.1", 6, 80, 80, 0), Vip("192.0.2.1", 6, 81, 81, 1),
                          Vip("192.0.2.2", 6, 80, 80, 2), Vip("2001:db8::/64", 17, 1, 9, 3)};
  vips[0].answers_echo = true;
  vips[3].answers_echo = true;
  const VipTable table(vips);
  EXPECT_TRUE(table.DescribeV4(net::IpAddress::Parse("192.0.2.1")->v4()).answers_echo);
  EXPECT_FALSE(table.DescribeV4(net::IpAddress::Parse("192.0.2.2")->v4()).answers_echo);
  EXPECT_TRUE(table.DescribeV6(net::IpAddress::Parse("2001:db8::77")->data()).answers_echo);
}

// Random VIPs of few addresses, lengths and ports against a search through all of them.
TEST(VipTableTest, AgreesWithALinearSearch) {
  std::mt19937 random(6);
  for (int round = 0; round < 30; ++round) {
    std::vector<VipTable::Vip> vips;
    for (uint16_t i = 0; i < 60; ++i) {
      std::array<uint8_t, 16> bytes{10, static_cast<uint8_t>(random() % 2), 0, static_cast<uint8_t>(random() % 4)};
      const auto family = random() % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6;
      const auto address = net::IpAddress::FromBytes(family, bytes.data());
      const int lengths[] = {address.bits(), 16, 15, 31};
      // Ranges of one width do not overlap unless they are equal.
      const uint16_t width = random() % 3 == 0 ? 1 : 10;
      const auto first = static_cast<uint16_t>(random() % 4 * 10);
      VipTable::Vip vip = {.prefix = {address, lengths[random() % 4]},
                           .protocol = static_cast<uint8_t>(random() % 2 == 0 ? 6 : 17),
                           .first_port = first,
                           .last_port = static_cast<uint16_t>(first + width - 1),
                           .id = VipId(i)};
      if (random() % 6 == 0) vip.first_port = 0, vip.last_port = 65535;
      const bool taken = std::any_of(vips.begin(), vips.end(), [&](const auto& other) {
        return other.protocol == vip.protocol && other.first_port == vip.first_port &&
               other.last_port == vip.last_port && other.prefix.length == vip.prefix.length &&
               other.prefix.Contains(vip.prefix.address);
      });
      if (!taken) vips.push_back(vip);
    }
    const VipTable table(vips);
    for (int probe = 0; probe < 500; ++probe) {
      std::array<uint8_t, 16> bytes{10, static_cast<uint8_t>(random() % 2), 0, static_cast<uint8_t>(random() % 4)};
      const auto family = random() % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6;
      const auto address = net::IpAddress::FromBytes(family, bytes.data());
      const uint8_t protocol = random() % 2 == 0 ? 6 : 17;
      const auto port = static_cast<uint16_t>(random() % 50);
      const VipTable::Vip* best = nullptr;
      for (const auto& vip : vips) {
        if (vip.protocol != protocol || !vip.prefix.Contains(address) || port < vip.first_port || port > vip.last_port)
          continue;
        if (best == nullptr || vip.prefix.length > best->prefix.length ||
            (vip.prefix.length == best->prefix.length &&
             vip.last_port - vip.first_port < best->last_port - best->first_port)) {
          best = &vip;
        }
      }
      ASSERT_EQ(Lookup(table, address.ToString(), protocol, port), best == nullptr ? VipId() : best->id);
      // The short answers: of a VIP of one address and one port, and that nothing claims the address.
      const bool exact =
          best != nullptr && best->prefix.length == address.bits() && best->first_port == best->last_port;
      ASSERT_EQ(FindExact(table, address, protocol, port), exact ? best->id : VipId());
      const bool claimed =
          std::any_of(vips.begin(), vips.end(), [&](const auto& vip) { return vip.prefix.Contains(address); });
      ASSERT_TRUE(!claimed || MayHave(table, address));
    }
  }
}

TEST(VipTableTest, MostStrangersAreToldWithoutASearch) {
  std::vector<VipTable::Vip> vips;
  for (uint16_t i = 0; i < 1000; ++i) {
    vips.push_back(Vip("198.18." + std::to_string(i / 250) + "." + std::to_string(i % 250), 6, 80, 80, i));
  }
  const VipTable table(vips);
  std::mt19937 random(1);
  int searched = 0;
  for (int i = 0; i < 10000; ++i) searched += table.exact_v4().MayHave({static_cast<uint32_t>(random() | 1)}) ? 1 : 0;
  EXPECT_LT(searched, 1000);
}

TEST(VipTableDeathTest, RefusesTheSameVipTwice) {
  EXPECT_DEATH(VipTable({Vip("1.2.3.4", 6, 80, 80, 0), Vip("1.2.3.4", 6, 80, 80, 1)}), "check failed");
}

}  // namespace
}  // namespace sluice::lb
