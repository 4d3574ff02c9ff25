#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "config/validate.h"
#include "tests/unit/config/config_text.h"

// Address translation: VIP modes, backends' ports, and what full NAT sends from.
namespace sluice::config {
namespace {

class NatRules : public testing::TestWithParam<Mistake> {};
TEST_P(NatRules, MistakeIsReported) { ExpectReported(GetParam()); }

const std::string kPunt = "punt: {rate_limit_pps: 10000}";
const std::string kMode = "port: 80, pool: web, mode: l2";

// kPunt with a nat section before it.
std::string Nat(const std::string& fields) { return "nat: {" + fields + "}\n  " + kPunt; }

INSTANTIATE_TEST_SUITE_P(
    Node, NatRules,
    testing::Values(
        Mistake{"LocalUnspecified", kPunt, Nat("local_addresses: [0.0.0.0]"), "0.0.0.0]", "node.nat.local_addresses[0]",
                "address 0.0.0.0 is unspecified; give a unicast address that is reachable from other hosts"},
        Mistake{"LocalTwice", kPunt, Nat("local_addresses: [192.0.2.5, 192.0.2.5]"), "192.0.2.5]",
                "node.nat.local_addresses[1]", "local address 192.0.2.5 is given twice; remove one of them"},
        Mistake{"LocalIsGateway", kPunt, Nat("local_addresses: [192.0.2.1]"), "192.0.2.1]}",
                "node.nat.local_addresses[0]",
                "local address 192.0.2.1 is a gateway of port \"wan\"; give an address of this machine"},
        Mistake{"LocalIsVip", kPunt, Nat("local_addresses: [203.0.113.10]"), "203.0.113.10]",
                "node.nat.local_addresses[0]",
                "local address 203.0.113.10 is one of VIP \"www\", 203.0.113.10; full NAT needs addresses that are no "
                "VIP's"},
        Mistake{"LocalIsBackend", kPunt, Nat("local_addresses: [192.0.2.12]"), "192.0.2.12, weight",
                "services.pools[0].backends[1].address",
                "backend \"web-2\" has the address 192.0.2.12 of this node's full NAT; a backend is another machine"},
        Mistake{"PortsAll", kPunt, Nat("local_ports: all"), "all}", "node.nat.local_ports",
                "local_ports all begin at 0; begin at 1024"},
        Mistake{"PortsDescend", kPunt, Nat("local_ports: 60000-50000"), "60000-", "node.nat.local_ports",
                "local_ports 60000-50000 end before they begin; swap them"},
        Mistake{"PortsForWorkers", "workers: {count: 1, idle: adaptive}",
                "nat: {local_ports: 50000}\n  workers: {count: 2}", "50000}", "node.nat.local_ports",
                "local_ports 50000 are 1 for 2 workers, each of which needs its own; give more"},
        Mistake{"PortsOfHealthChecks", kPunt, Nat("local_ports: 61000-65535, local_addresses: [192.0.2.2]"), "61000-",
                "node.nat.local_ports",
                "local_ports 61000-65535 on 192.0.2.2, the address of port \"wan\", contain node.health.source_ports "
                "61000-65535; give one of them a range without the other's ports"},
        Mistake{"PortsOfTheKernel", kPunt, Nat("local_ports: 60000-60999, local_addresses: [192.0.2.2]"), "60000-",
                "node.nat.local_ports",
                "local_ports 60000-60999 on 192.0.2.2, the address of port \"wan\", contain ports that Linux gives to "
                "the host's own connections, 32768-60999; write local_ports: 10000-32767, or give full NAT an address "
                "of its own"},
        Mistake{
            "PortsOfManagement", kPunt, "nat: {local_ports: 1-1000, local_addresses: [\"2001:db8::2\"]}\n  " + kPunt,
            "1-1000", "node.nat.local_ports",
            "local_ports 1-1000 on 2001:db8::2, the address of port \"wan\", contain the management port 22; give a "
            "range without it, or give full NAT an address of its own"},
        Mistake{"PortsOfMetrics",
                "api: {listen: \"unix:/run/sluice/sluiced.sock\"}\n  metrics: {listen: \"127.0.0.1:9105\"}",
                "nat: {local_ports: 9000-10000, local_addresses: [192.0.2.2]}\n  metrics: {listen: \"0.0.0.0:9105\"}",
                "9000-10000", "node.nat.local_ports",
                "local_ports 9000-10000 on 192.0.2.2, the address of port \"wan\", contain port 9105 of "
                "node.metrics.listen; give a range without it, or give full NAT an address of its own"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Services, NatRules,
    testing::Values(
        Mistake{"FullNatWithoutLocal", kMode, "port: 80, pool: web, mode: full-nat", "full-nat",
                "services.vips[0].mode",
                "mode full-nat of VIP \"www\" needs an IPv4 address to send from to backend \"web-1\", 192.0.2.11; add "
                "one to node.nat.local_addresses"},
        Mistake{"NatMixesFamilies", "203.0.113.10, protocol: tcp, " + kMode,
                "\"2001:db8:f::1\", port: 80, pool: web, mode: nat", "nat}", "services.vips[0].mode",
                "mode nat cannot take IPv6 packets of VIP \"www\" to the IPv4 address 192.0.2.11 of backend \"web-1\"; "
                "use a pool whose backends all have IPv6 addresses, or mode full-nat"},
        Mistake{"PortWithoutNat", "weight: 200", "port: 8080", "l2}", "services.vips[0].mode",
                "mode l2 of VIP \"www\" leaves ports as they are, and backend \"web-2\" of pool \"web\" has port 8080; "
                "use mode nat or full-nat, or a pool whose backends have no port"},
        Mistake{"PortRange", "weight: 200}\n  vips:\n    - {name: www, address: 203.0.113.10, protocol: tcp, " + kMode,
                "port: 8080}\n  vips:\n    - {name: www, address: 203.0.113.10, port: 80-90, pool: web, mode: nat",
                "80-90", "services.vips[0].port",
                "VIP \"www\" has port 80-90, and backend \"web-2\" of pool \"web\" has port 8080, which can stand for "
                "one only; give the VIP a single port, or use a pool whose backends have no port, so that they get the "
                "VIP's"},
        Mistake{"PortOutside", "weight: 200", "port: 65536", "65536", "services.pools[0].backends[1].port",
                "65536 is out of range; give a whole number from 1 to 65535"},
        Mistake{"ProxyWithoutFullNat", kMode, "port: 80, pool: web, mode: nat, proxy_protocol: v2", "v2}",
                "services.vips[0].proxy_protocol",
                "proxy_protocol v2 of VIP \"www\" needs mode full-nat, not nat, with which backends see the client's "
                "address; remove it, or take mode full-nat"},
        Mistake{"ProxyWord", kMode, "port: 80, pool: web, mode: nat, proxy_protocol: v1", "v1}",
                "services.vips[0].proxy_protocol", "\"v1\" is not one of none, v2; did you mean v2?"},
        Mistake{"ClampWord", kMode, "port: 80, pool: web, clamp_mss: 1460", "1460}", "services.vips[0].clamp_mss",
                "\"1460\" is neither true nor false; write true or false"}),
    [](const auto& test) { return std::string(test.param.name); });

// kValid with full NAT's addresses and one VIP.
std::string WithFullNat(const std::string& vip) {
  return Replaced(Replaced(kValid, kPunt, Nat("local_addresses: [198.51.100.5, \"2001:db8:5::5\"]")),
                  "address: 203.0.113.10, protocol: tcp, " + kMode, vip);
}

TEST(NatRulesTest, FullNatTakesProxyProtocolOverTcpAndItsStateAlways) {
  EXPECT_EQ(Problems(WithFullNat("address: 203.0.113.10, port: 80, pool: web, mode: full-nat, proxy_protocol: v2")),
            "");
  std::string text =
      WithFullNat("address: 203.0.113.10, protocol: udp, port: 80, pool: web, mode: full-nat, proxy_protocol: v2");
  EXPECT_EQ(Problems(text), PrefixAt(text, "v2}") +
                                "services.vips[0].proxy_protocol: proxy_protocol v2 of VIP \"www\" needs protocol tcp, "
                                "not udp; remove it");
  text = WithFullNat("address: 203.0.113.10, port: 80, pool: web, mode: full-nat, connection_tracking: \"off\"");
  EXPECT_EQ(Problems(text),
            PrefixAt(text, "\"off\"") +
                "services.vips[0].connection_tracking: connection_tracking off of VIP \"www\" cannot be "
                "with mode full-nat, which finds the client of an answer by the connection alone; "
                "remove it");
}

TEST(NatRulesTest, FullNatMixesFamiliesInAllWays) {
  EXPECT_EQ(Problems(WithFullNat("address: \"2001:db8:f::1\", port: 80, pool: web, mode: full-nat")), "");
  EXPECT_EQ(Problems(WithFullNat("address: \"2001:db8:f::/64\", port: all, pool: web, mode: full-nat")), "");
  const std::string text = Replaced(WithFullNat("address: 203.0.113.10, port: 80, pool: web, mode: full-nat"),
                                    "192.0.2.12", "\"2001:db8:2::12\"");
  EXPECT_EQ(Problems(text), "");
  EXPECT_NE(Problems(Replaced(text, ", \"2001:db8:5::5\"", "")).find("needs an IPv6 address to send from"),
            std::string::npos);
}

TEST(NatRulesTest, ABackupNeedsALocalAddressToo) {
  std::string text =
      Replaced(WithFullNat("address: 203.0.113.10, port: 80, pool: web, mode: full-nat"), "  pools:\n",
               "  pools:\n    - {name: spare, backends: [{name: spare-1, address: \"2001:db8:2::12\"}]}\n");
  text = Replaced(text, "- name: web\n", "- name: web\n      backup: spare\n");
  EXPECT_EQ(Problems(text), "");
  EXPECT_NE(Problems(Replaced(text, ", \"2001:db8:5::5\"", ""))
                .find("needs an IPv6 address to send from to backend \"spare-1\""),
            std::string::npos);
}

TEST(NatRulesTest, BackendsAreKnownByAddressAndPort) {
  const std::string nat = Replaced(kValid, "mode: l2", "mode: nat");
  const std::string ports =
      Replaced(Replaced(nat, "192.0.2.11,", "192.0.2.11, port: 8080,"), "192.0.2.12,", "192.0.2.11, port: 8081,");
  EXPECT_EQ(Problems(ports), "");
  EXPECT_NE(Problems(Replaced(ports, "8081", "8080"))
                .find("backend \"web-2\" has the address 192.0.2.11:8080 of backend \"web-1\" in the same pool"),
            std::string::npos);
}

TEST(NatRulesTest, AnAddressOfItsOwnMayUseAllPorts) {
  const auto accepts = [](const std::string& fields) {
    EXPECT_EQ(Problems(Replaced(kValid, kPunt, Nat(fields))), "") << fields;
  };
  accepts("local_addresses: [198.51.100.5], local_ports: 1-65535");
  accepts("local_addresses: [192.0.2.2], local_ports: 10000-32767");
  accepts("local_addresses: [192.0.2.2, 198.51.100.5], local_ports: 1024-9104");
  accepts("");
}

TEST(NatRulesTest, LocalAddressesAreLimitedByFamily) {
  NodeConfig node;
  node.ports.resize(1);
  node.ports[0].name = "wan";
  node.ports[0].devices = {"net_tap0"};
  node.ports[0].exception.interface = "wan";
  for (int i = 1; i <= 16; ++i) {
    node.nat.local_addresses.push_back(*net::IpAddress::Parse("192.0.2." + std::to_string(i)));
    node.nat.local_addresses.push_back(*net::IpAddress::Parse("2001:db8::" + std::to_string(i)));
  }
  EXPECT_TRUE(ValidateNode(node).empty());
  node.nat.local_addresses.push_back(*net::IpAddress::Parse("192.0.2.17"));
  const auto problems = ValidateNode(node);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].field, "node.nat.local_addresses[32]");
  EXPECT_EQ(problems[0].message, "there are more than 16 IPv4 local addresses; at most that many are possible");
}

}  // namespace
}  // namespace sluice::config
