#include "dataplane/stage/tunnel_source.h"

#include <gtest/gtest.h>

#include <cstring>

namespace sluice::stage {
namespace {

TEST(TunnelSourceTest, WithoutPrefixItIsOff) { EXPECT_FALSE(ToTunnelSource(std::nullopt).enabled); }

// Prefix and mask together are every bit of the family and no more.
void ExpectParts(const char* text, const char* network, const char* mask) {
  const TunnelSource source = ToTunnelSource(net::IpPrefix::Parse(text));
  EXPECT_TRUE(source.enabled);
  EXPECT_EQ(0, std::memcmp(source.prefix.data(), net::IpAddress::Parse(network)->data(), 16)) << text;
  EXPECT_EQ(0, std::memcmp(source.host_mask.data(), net::IpAddress::Parse(mask)->data(), 16)) << text;
}

TEST(TunnelSourceTest, SplitsAtAnyBit) {
  ExpectParts("198.18.0.0/16", "198.18.0.0", "0.0.255.255");
  ExpectParts("198.18.128.0/17", "198.18.128.0", "0.0.127.255");
  ExpectParts("198.18.0.4/31", "198.18.0.4", "0.0.0.1");
  ExpectParts("128.0.0.0/1", "128.0.0.0", "127.255.255.255");
  ExpectParts("2001:db8:ff::/48", "2001:db8:ff::", "::ffff:ffff:ffff:ffff:ffff");
  ExpectParts("2001:db8::8/125", "2001:db8::8", "::7");
}

TEST(TunnelSourceTest, IgnoresHostBits) { ExpectParts("198.18.1.2/16", "198.18.0.0", "0.0.255.255"); }

}  // namespace
}  // namespace sluice::stage
