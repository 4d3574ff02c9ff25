#include "dataplane/runtime/host_interface.h"

#include <gtest/gtest.h>

namespace sluice::runtime {
namespace {

// RFC 4291, appendix A: 34-56-78-9A-BC-DE becomes 36-56-78-FF-FE-9A-BC-DE.
TEST(HostInterfaceTest, LinkLocalFollowsRfc4291) {
  const net::IpPrefix prefix = LinkLocalOf(*net::MacAddress::Parse("34:56:78:9a:bc:de"));
  EXPECT_EQ(prefix.ToString(), "fe80::3656:78ff:fe9a:bcde/64");
  EXPECT_TRUE(prefix.address.IsLinkLocal());
}

}  // namespace
}  // namespace sluice::runtime
