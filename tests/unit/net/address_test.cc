#include "dataplane/net/address.h"

#include <gtest/gtest.h>

namespace sluice::net {
namespace {

TEST(IpAddressTest, RoundTripsText) {
  for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1:2", "::ffff:1.2.3.4"}) {
    const auto address = IpAddress::Parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(IpAddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4 ", " 1.2.3.4", "::g", "fe80::1%eth0",
                           "1.2.3.4/24", "2001:db8::1::2"}) {
    EXPECT_FALSE(IpAddress::Parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string_view("1.2.3.4\0x", 9)));
}

TEST(IpAddressTest, KnowsItsKind) {
  EXPECT_TRUE(IpAddress::Parse("127.3.2.1")->IsLoopback());
  EXPECT_TRUE(IpAddress::Parse("::1")->IsLoopback());
  EXPECT_FALSE(IpAddress::Parse("::2")->IsLoopback());
  EXPECT_TRUE(IpAddress::Parse("224.0.0.5")->IsMulticast());
  EXPECT_TRUE(IpAddress::Parse("239.255.255.255")->IsMulticast());
  EXPECT_FALSE(IpAddress::Parse("223.255.255.255")->IsMulticast());
  EXPECT_TRUE(IpAddress::Parse("ff02::1")->IsMulticast());
  EXPECT_TRUE(IpAddress::Parse("169.254.1.1")->IsLinkLocal());
  EXPECT_TRUE(IpAddress::Parse("febf::1")->IsLinkLocal());
  EXPECT_FALSE(IpAddress::Parse("fec0::1")->IsLinkLocal());
  EXPECT_TRUE(IpAddress::Parse("::")->IsUnspecified());
  EXPECT_NE(*IpAddress::Parse("::"), *IpAddress::Parse("0.0.0.0"));
}

TEST(IpAddressTest, Ipv4ByItsWord) {
  const IpAddress address = IpAddress::V4(Be32::FromHost(0xc0000201));
  EXPECT_EQ(address, IpAddress::Parse("192.0.2.1"));
  EXPECT_EQ(address.v4().Host(), 0xc0000201u);
}

TEST(IpPrefixTest, NetworkHasNoHostBits) {
  const auto network = [](const char* text) { return IpPrefix::Parse(text)->Network().ToString(); };
  EXPECT_EQ(network("10.1.31.3/20"), "10.1.16.0/20");
  EXPECT_EQ(network("10.1.2.3/8"), "10.0.0.0/8");
  EXPECT_EQ(network("10.1.2.3/0"), "0.0.0.0/0");
  EXPECT_EQ(network("10.1.2.3/32"), "10.1.2.3/32");
  EXPECT_EQ(network("2001:db8:ffff::1/33"), "2001:db8:8000::/33");
  EXPECT_EQ(network("2001:db8::1/128"), "2001:db8::1/128");
}

TEST(IpPrefixTest, ContainsByPrefixBits) {
  const auto prefix = IpPrefix::Parse("10.1.2.3/20");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->ToString(), "10.1.2.3/20");
  EXPECT_TRUE(prefix->Contains(*IpAddress::Parse("10.1.15.255")));
  EXPECT_FALSE(prefix->Contains(*IpAddress::Parse("10.1.16.0")));
  EXPECT_FALSE(prefix->Contains(*IpAddress::Parse("::1")));
  EXPECT_TRUE(IpPrefix::Parse("0.0.0.0/0")->Contains(*IpAddress::Parse("9.9.9.9")));
  EXPECT_TRUE(IpPrefix::Parse("2001:db8::/33")->Contains(*IpAddress::Parse("2001:db8:7fff::1")));
  EXPECT_FALSE(IpPrefix::Parse("2001:db8::/33")->Contains(*IpAddress::Parse("2001:db8:8000::1")));
  EXPECT_EQ(IpPrefix::Parse("2001:db8::1")->length, 128);
}

TEST(IpPrefixTest, RefusesBadLengths) {
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x", "::/129", "/8"}) {
    EXPECT_FALSE(IpPrefix::Parse(text)) << text;
  }
}

TEST(MacAddressTest, RoundTripsAndRefuses) {
  EXPECT_EQ(MacAddress::Parse("02:00:5e:10:00:ff")->ToString(), "02:00:5e:10:00:ff");
  EXPECT_TRUE(MacAddress::Parse("01:00:5e:00:00:01")->IsMulticast());
  EXPECT_TRUE(MacAddress().IsZero());
  for (const char* text : {"", "02:00:5e:10:00", "02:00:5e:10:00:fg", "02-00-5e-10-00-ff", "02:00:5e:10:00:ff:"}) {
    EXPECT_FALSE(MacAddress::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace sluice::net
