#include "tools/backend/map_keys.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::backend {
namespace {

std::vector<uint8_t> BytesOf(const AddressKey& key) { return {key.bytes, key.bytes + sizeof(key.bytes)}; }

TEST(MapKeysTest, Ipv4IsMapped) {
  const AddressKey key = KeyOf(*net::IpAddress::Parse("192.0.2.1"));
  EXPECT_EQ(BytesOf(key), (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1}));
  EXPECT_EQ(AddressOf(key).ToString(), "192.0.2.1");
}

TEST(MapKeysTest, PrefixesLoseTheirHostBits) {
  const PrefixKey v4 = KeyOf(*net::IpPrefix::Parse("192.0.2.201/25"));
  EXPECT_EQ(v4.length, 121u);
  EXPECT_EQ(BytesOf(v4.address), (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 128}));
  const PrefixKey v6 = KeyOf(*net::IpPrefix::Parse("2001:db8::ff/127"));
  EXPECT_EQ(v6.length, 127u);
  EXPECT_EQ(v6.address.bytes[15], 0xfe);
}

TEST(MapKeysTest, ThereAndBack) {
  for (const std::string text :
       {"0.0.0.0/0", "192.0.2.0/24", "192.0.2.1/32", "::/0", "2001:db8::/32", "2001:db8::1/128"}) {
    EXPECT_EQ(PrefixOf(KeyOf(*net::IpPrefix::Parse(text))).ToString(), net::IpPrefix::Parse(text)->ToString());
  }
}

}  // namespace
}  // namespace sluice::backend
