#include "dataplane/lb/prefix_table.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace sluice::lb {
namespace {

PrefixTable MakePrefixTable(const std::vector<std::pair<std::string, uint32_t>>& prefixes) {
  std::vector<PrefixValue> values;
  for (const auto& [text, value] : prefixes) values.push_back({*net::IpPrefix::Parse(text), value});
  return PrefixTable(values);
}

uint32_t Lookup(const PrefixTable& table, const net::IpAddress& address) {
  return address.is_v4() ? table.LookupV4(address.v4()) : table.LookupV6(address.data());
}
uint32_t Lookup(const PrefixTable& table, const std::string& address) {
  return Lookup(table, *net::IpAddress::Parse(address));
}

TEST(PrefixTableTest, WithoutPrefixesNothingMatches) {
  const PrefixTable table;
  EXPECT_EQ(Lookup(table, "0.0.0.0"), PrefixTable::kNone);
  EXPECT_EQ(Lookup(table, "255.255.255.255"), PrefixTable::kNone);
  EXPECT_EQ(Lookup(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), PrefixTable::kNone);
}

TEST(PrefixTableTest, TheLongestPrefixWins) {
  const PrefixTable table = MakePrefixTable({{"0.0.0.0/0", 0},
                                             {"10.0.0.0/8", 1},
                                             {"10.1.0.0/16", 2},
                                             {"10.1.2.3/32", 3},
                                             {"255.255.255.255/32", 4},
                                             {"2001:db8::/32", 5},
                                             {"2001:db8:0:1::/64", 6},
                                             {"2001:db8:0:1::7/128", 7},
                                             {"ff00::/8", 8}});
  EXPECT_EQ(Lookup(table, "9.255.255.255"), 0u);
  EXPECT_EQ(Lookup(table, "10.0.0.0"), 1u);
  EXPECT_EQ(Lookup(table, "10.0.255.255"), 1u);
  EXPECT_EQ(Lookup(table, "10.1.2.2"), 2u);
  EXPECT_EQ(Lookup(table, "10.1.2.3"), 3u);
  EXPECT_EQ(Lookup(table, "10.1.2.4"), 2u);
  EXPECT_EQ(Lookup(table, "10.2.0.0"), 1u);
  EXPECT_EQ(Lookup(table, "11.0.0.0"), 0u);
  EXPECT_EQ(Lookup(table, "255.255.255.254"), 0u);
  EXPECT_EQ(Lookup(table, "255.255.255.255"), 4u);
  EXPECT_EQ(Lookup(table, "::"), PrefixTable::kNone) << "no default route for IPv6";
  EXPECT_EQ(Lookup(table, "2001:db8::1"), 5u);
  EXPECT_EQ(Lookup(table, "2001:db8:0:1::6"), 6u);
  EXPECT_EQ(Lookup(table, "2001:db8:0:1::7"), 7u);
  EXPECT_EQ(Lookup(table, "2001:db8:0:1:ffff:ffff:ffff:ffff"), 6u);
  EXPECT_EQ(Lookup(table, "2001:db8:0:2::"), 5u);
  EXPECT_EQ(Lookup(table, "2001:db9::"), PrefixTable::kNone);
  EXPECT_EQ(Lookup(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 8u);
}

TEST(PrefixTableTest, HostBitsAreIgnoredAndTheLastOfEqualsCounts) {
  const PrefixTable table =
      MakePrefixTable({{"10.1.2.3/8", 1}, {"10.0.0.0/8", 2}, {"2001:db8::5/32", 3}, {"2001:db8::/32", 4}});
  EXPECT_EQ(Lookup(table, "10.200.0.1"), 2u);
  EXPECT_EQ(Lookup(table, "2001:db8::1"), 4u);
}

// Random nested prefixes against a search through all of them; sizes around those where the index gets a place more.
TEST(PrefixTableTest, AgreesWithALinearSearch) {
  std::mt19937 random(5);
  for (int round = 0; round < 60; ++round) {
    std::vector<PrefixValue> prefixes;
    const auto any = [&](net::Family family) {
      // Few values in few places, so that prefixes nest and meet at both ends of the range.
      std::array<uint8_t, 16> bytes{};
      for (size_t i = 0; i < bytes.size(); ++i) {
        constexpr std::array<uint8_t, 4> kValues = {0, 1, 0x80, 0xff};
        bytes[i] = i > 3 && random() % 2 == 0 ? bytes[i - 1] : kValues[random() % kValues.size()];
      }
      return net::IpAddress::FromBytes(family, bytes.data());
    };
    const size_t count = random() % 2 == 0 ? random() % 10 : random() % 500;
    for (uint32_t i = 0; i < count; ++i) {
      const auto family = random() % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6;
      const auto address = any(family);
      prefixes.push_back({{address, static_cast<int>(random() % static_cast<uint32_t>(address.bits() + 1))}, i});
    }
    const PrefixTable table(prefixes);
    for (int probe = 0; probe < 400; ++probe) {
      const auto address = any(random() % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6);
      const PrefixValue* best = nullptr;
      for (const PrefixValue& each : prefixes) {
        if (each.prefix.address.family() != address.family() || !each.prefix.Contains(address)) continue;
        if (best == nullptr || each.prefix.length >= best->prefix.length) best = &each;
      }
      ASSERT_EQ(Lookup(table, address), best == nullptr ? PrefixTable::kNone : best->value)
          << "round " << round << ": " << address.ToString();
    }
  }
}

}  // namespace
}  // namespace sluice::lb
