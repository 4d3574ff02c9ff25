#include "dataplane/runtime/host_interface.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::runtime {
namespace {

// RFC 4291, appendix A: 34-56-78-9A-BC-DE becomes 36-56-78-FF-FE-9A-BC-DE.
TEST(HostInterfaceTest, LinkLocalFollowsRfc4291) {
  const net::IpPrefix prefix = LinkLocalOf(*net::MacAddress::Parse("34:56:78:9a:bc:de"));
  EXPECT_EQ(prefix.ToString(), "fe80::3656:78ff:fe9a:bcde/64");
  EXPECT_TRUE(prefix.address.IsLinkLocal());
}

// "address address|address": one list for each port.
std::string Carried(const DataplaneOptions& options) {
  std::string text;
  for (const std::vector<net::IpAddress>& addresses : LocalAddressesOfPorts(options)) {
    if (!text.empty()) text += "|";
    text += "[";
    for (const net::IpAddress& address : addresses) text += " " + address.ToString();
    text += " ]";
  }
  return text;
}

TEST(HostInterfaceTest, LocalAddressesAreOnThePortInWhoseNetworkTheyAre) {
  DataplaneOptions options;
  options.ports.resize(3);
  options.ports[0].addresses = {*net::IpPrefix::Parse("198.18.0.2/24")};  // without an exception interface
  options.ports[1].addresses = {*net::IpPrefix::Parse("192.0.2.2/24")};
  options.ports[1].exception_interface = "wan";
  options.ports[2].addresses = {*net::IpPrefix::Parse("10.0.0.2/8"), *net::IpPrefix::Parse("2001:db8::2/64")};
  options.ports[2].exception_interface = "lan";
  for (const char* address : {"10.0.0.9", "2001:db8::9", "192.0.2.9", "203.0.113.9", "10.0.0.2", "198.18.0.9"}) {
    options.nat_local_addresses.push_back(*net::IpAddress::Parse(address));
  }
  EXPECT_EQ(Carried(options), "[ ]|[ 192.0.2.9 203.0.113.9 198.18.0.9 ]|[ 10.0.0.9 2001:db8::9 ]")
      << "the port's own address is there already";
  options.ports[1].exception_interface.clear();
  options.ports[2].exception_interface.clear();
  EXPECT_EQ(Carried(options), "[ ]|[ ]|[ ]");
}

}  // namespace
}  // namespace sluice::runtime
