#include <gtest/gtest.h>

#include <map>
#include <string>

#include "config/validate.h"
#include "tests/unit/config/config_text.h"

namespace sluice::config {
namespace {

class NodeRules : public testing::TestWithParam<Mistake> {};
TEST_P(NodeRules, MistakeIsReported) { ExpectReported(GetParam()); }

const std::string kPort = "    - name: wan\n";
// A second port in front of the first one.
std::string SecondPort(const std::string& name, const std::string& device, const std::string& interface) {
  return "    - name: " + name + "\n      devices: [" + device +
         "]\n      exception:\n        interface: " + interface + "\n" + kPort;
}
const std::string kDevices = "devices: [\"net_af_packet0,iface=eth0\"]";
const std::string kListen = "listen: \"unix:/run/sluice/sluiced.sock\"";
const std::string kMetrics = "listen: \"127.0.0.1:9105\"";
const char kDeviceHint[] =
    "; give a PCI address like \"0000:03:00.0\" or a virtual device like \"net_af_packet0,iface=eth0\"";
const char kTlsHint[] =
    " could be reached from other machines, and `listen` has no TLS; use a Unix socket or a loopback address here, and "
    "`tcp` for clients on other machines";
const char kSocketHint[] =
    " does not name a socket; write \"unix:\" and an absolute path, like \"unix:/run/sluice/sluiced.sock\"";
const std::string kLongPath = "/" + std::string(107, 'p');

INSTANTIATE_TEST_SUITE_P(
    Ports, NodeRules,
    testing::Values(
        Mistake{"NodeName", "name: edge-1", "name: edge/1", "edge/1", "node.name",
                "name \"edge/1\" has a character that names cannot have; use letters, digits, \".\", \"_\" and \"-\""},
        Mistake{"PortNameTwice", kPort, SecondPort("wan # first", "net_tap7", "lan"), "wan\n", "node.ports[1].name",
                "there are two ports with the name \"wan\"; rename one of them"},
        Mistake{"NoDevice", kDevices, "devices: []", "[]", "node.ports[0].devices",
                std::string("port \"wan\" has no device") + kDeviceHint},
        Mistake{"EmptyDevice", kDevices, "devices: [\"\"]", "\"\"]", "node.ports[0].devices[0]",
                std::string("device \"\" of port \"wan\" is empty") + kDeviceHint},
        Mistake{"DeviceWithBlank", kDevices, "devices: [\"net_tap0, iface=x\"]", "\"net_tap0, ",
                "node.ports[0].devices[0]",
                std::string("device \"net_tap0, iface=x\" of port \"wan\" has a blank in it") + kDeviceHint},
        Mistake{"DevicesAndWorkers", kDevices, "devices: [net_tap0, net_tap1]", "[net_tap0", "node.ports[0].devices",
                "port \"wan\" has 2 devices for 1 worker; give one device, or as many as node.workers.count says"},
        Mistake{"DeviceTwice", kPort, SecondPort("lan", "\"net_af_packet0,iface=eth1\"", "lan"),
                "\"net_af_packet0,iface=eth0", "node.ports[1].devices[0]",
                "device \"net_af_packet0\" is used twice, first by port \"lan\"; number virtual devices, like "
                "net_af_packet1"},
        Mistake{"PciDeviceTwice", kDevices + "\n",
                "devices: [\"0000:03:00.0\"]\n      exception: {interface: lan}\n    - name: lan\n"
                "      devices: [\"03:00.0\"]\n",
                "\"03:00.0", "node.ports[1].devices[0]",
                "device \"0000:03:00.0\" is used twice, first by port \"wan\"; number virtual devices, like "
                "net_af_packet1"},
        Mistake{
            "Address", "192.0.2.2/24", "192.0.2.0/24", "192.0.2.0/24", "node.ports[0].addresses[0]",
            "\"192.0.2.0/24\" is the address of a network and not of a host in it; give this machine's own address"},
        Mistake{"AddressMulticast", "2001:db8::2/64", "ff02::1/64", "\"ff02", "node.ports[0].addresses[1]",
                "address ff02::1 is a multicast address; give a unicast address that is reachable from other hosts"},
        Mistake{"AddressTwice", "[192.0.2.2/24, ", "[192.0.2.2/24, 192.0.2.2/25, ", "192.0.2.2/25",
                "node.ports[0].addresses[1]",
                "address 192.0.2.2 is given twice, first to port \"wan\"; remove one of them"},
        Mistake{"AddressEverywhere", "192.0.2.2/24", "192.0.2.2/0", "192.0.2.2/0", "node.ports[0].addresses[0]",
                "\"192.0.2.2/0\" makes every address on link; give the length of the network's prefix"},
        Mistake{
            "GatewayElsewhere", "gateways: [192.0.2.1]", "gateways: [192.0.3.1]", "192.0.3.1",
            "node.ports[0].gateways[0]",
            "gateway 192.0.3.1 is in no network of port \"wan\"'s addresses; correct one of them, or set gateway_mac"},
        Mistake{"GatewayIsOwn", "gateways: [192.0.2.1]", "gateways: [192.0.2.2]", "192.0.2.2]",
                "node.ports[0].gateways[0]", "gateway 192.0.2.2 is port \"wan\"'s own address; give the router's"},
        Mistake{"GatewayTwice", "gateways: [192.0.2.1]", "gateways: [192.0.2.1, 192.0.2.3]", "192.0.2.3]",
                "node.ports[0].gateways[1]",
                "a second default gateway for IPv4, 192.0.2.3: port \"wan\" has one; keep one for each family and add "
                "other routes in the host's kernel"},
        Mistake{"GatewayMulticast", "gateways: [192.0.2.1]", "gateways: [224.0.0.1]", "224.0.0.1",
                "node.ports[0].gateways[0]",
                "address 224.0.0.1 is a multicast address; give a unicast address that is reachable from other hosts"},
        Mistake{"GatewayMac", "mtu: 1500", "gateway_mac: \"01:00:5e:00:00:01\"", "\"01:", "node.ports[0].gateway_mac",
                "MAC address 01:00:5e:00:00:01 is a group address and no router's; give the router's own"},
        Mistake{"Mtu", "mtu: 1500", "mtu: 500", "500\n", "node.ports[0].mtu",
                "mtu 500 of port \"wan\" is out of range; give a whole number from 576 to 9216"},
        Mistake{"MtuForIpv6", "mtu: 1500", "mtu: 1279", "1279", "node.ports[0].mtu",
                "mtu 1279 of port \"wan\" is too small for its IPv6 address 2001:db8::2; give at least 1280"},
        Mistake{
            "MtuAndBuffers", "mtu: 1500", "mtu: 9000", "9000", "node.ports[0].mtu",
            "mtu 9000 of port \"wan\" makes frames of up to 9026 bytes, and node.memory.mbuf_data_bytes is 2048; set "
            "that to 9216"},
        Mistake{"Descriptors", "rx_descriptors: 512", "rx_descriptors: 500", "500\n      exc",
                "node.ports[0].rx_descriptors",
                "rx_descriptors 500 of port \"wan\" is not allowed; give a power of two from 64 to 4096"},
        Mistake{"DescriptorsRange", "rx_descriptors: 512", "tx_descriptors: 8192", "8192",
                "node.ports[0].tx_descriptors",
                "tx_descriptors 8192 of port \"wan\" is not allowed; give a power of two from 64 to 4096"},
        Mistake{
            "NoInterface", "{interface: sluice-wan}", "{enabled: true}", "{enabled",
            "node.ports[0].exception.interface",
            "port \"wan\" has no name for its exception interface; write \"exception: {interface: sluice-wan}\", or "
            "\"exception: {enabled: false}\" to keep the host's kernel out"},
        Mistake{"InterfaceLong", "sluice-wan", "sluice-wan-port1", "sluice-wan-port1",
                "node.ports[0].exception.interface",
                "interface name \"sluice-wan-port1\" has 16 characters; Linux allows at most 15"},
        Mistake{"InterfaceCharacter", "sluice-wan", "sluice/wan", "sluice/wan", "node.ports[0].exception.interface",
                "interface name \"sluice/wan\" is not allowed; use letters, digits, \".\", \"_\" and \"-\""},
        Mistake{"InterfaceTwice", kPort, SecondPort("lan", "net_tap7", "sluice-wan # 1\n"), "sluice-wan}",
                "node.ports[1].exception.interface",
                "interface \"sluice-wan\" is that of port \"lan\" already; give each port its own"}),
    [](const auto& test) { return std::string(test.param.name); });

// A number outside its range, in a section that kValid has, or in one of its own before "punt".
Mistake Outside(const char* name, const std::string& section, const std::string& key, const std::string& value,
                const std::string& range) {
  const std::map<std::string, std::string> lines = {{"memory", "memory: {mbufs: 8192}"},
                                                    {"tables", "tables: {connections_v4: 262144}"},
                                                    {"timeouts", "timeouts: {udp_s: 60}"},
                                                    {"punt", "punt: {rate_limit_pps: 10000}"}};
  const auto line = lines.find(section);
  const std::string made = section + ": {" + key + ": " + value + "}";
  return {name,
          line != lines.end() ? line->second : "punt: {",
          line != lines.end() ? made : made + "\n  punt: {",
          value + "}",
          "node." + section + "." + key,
          key + " " + value + " is out of range; give a whole number from " + range};
}

INSTANTIATE_TEST_SUITE_P(
    Ranges, NodeRules,
    testing::Values(Outside("MbufDataBytes", "memory", "mbuf_data_bytes", "1024", "2048 to 16384"),
                    Outside("ConnectionsV4", "tables", "connections_v4", "0", "1024 to 16777216"),
                    Outside("ConnectionsV6", "tables", "connections_v6", "16777217", "1024 to 16777216"),
                    Outside("ConnectionsWide", "tables", "connections_wide", "512", "1024 to 16777216"),
                    Outside("ConnectionsStateful", "tables", "connections_stateful", "512", "1024 to 16777216"),
                    Outside("NatSessions", "tables", "nat_sessions", "1023", "1024 to 16777216"),
                    Outside("TimeoutSyn", "timeouts", "tcp_syn_s", "0", "1 to 28800"),
                    Outside("TimeoutEstablished", "timeouts", "tcp_established_s", "28801", "1 to 28800"),
                    Outside("TimeoutClosing", "timeouts", "tcp_closing_s", "0", "1 to 28800"),
                    Outside("TimeoutReset", "timeouts", "tcp_reset_s", "0", "1 to 28800"),
                    Outside("TimeoutUdp", "timeouts", "udp_s", "0", "1 to 28800"),
                    Outside("FragmentPackets", "fragments", "packets", "1000001", "1 to 1000000"),
                    Outside("FragmentsHeld", "fragments", "held", "65537", "0 to 65536"),
                    Outside("FragmentTimeout", "fragments", "timeout_s", "61", "1 to 60"),
                    Outside("PuntRate", "punt", "rate_limit_pps", "10000001", "1 to 10000000"),
                    Mistake{"AnswersPerS", "punt: {", "answers_per_s: 10000001\n  punt: {", "10000001",
                            "node.answers_per_s",
                            "answers_per_s 10000001 is out of range; give a whole number from 0 to 10000000"},
                    Mistake{"CopiesPerS", "punt: {", "copies_per_s: 10000001\n  punt: {", "10000001",
                            "node.copies_per_s",
                            "copies_per_s 10000001 is out of range; give a whole number from 0 to 10000000"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Rest, NodeRules,
    testing::Values(
        Mistake{"WorkersNone", kWorkers, "workers: {count: 0}", "0}", "node.workers.count",
                "count 0 of workers is out of range; give a whole number from 1 to 64"},
        Mistake{"WorkersMany", kWorkers, "workers: {count: 65}", "65}", "node.workers.count",
                "count 65 of workers is out of range; give a whole number from 1 to 64"},
        Mistake{"CpusCount", kWorkers, "workers: {count: 2, cpus: [1]}", "[1]", "node.workers.cpus",
                "there are 1 CPUs for 2 workers; give one for each, or leave cpus out"},
        Mistake{"CpusTwice", kWorkers, "workers: {count: 2, cpus: [1, 1]}", "1]}", "node.workers.cpus[1]",
                "CPU 1 is given twice; give each worker its own"},
        Mistake{"CpuRange", kWorkers, "workers: {cpus: [1024]}", "1024", "node.workers.cpus[0]",
                "CPU 1024 is out of range; give a whole number from 0 to 1023"},
        Mistake{"Idle", "idle: adaptive", "idle: sleep", "sleep", "node.workers.idle",
                "\"sleep\" is not one of poll, adaptive"},
        Mistake{"Hugepages", "{mbufs: 8192}", "{hugepages: yes}", "yes", "node.memory.hugepages",
                "\"yes\" is not one of auto, require, off"},
        Mistake{"Mbufs", "mbufs: 8192", "mbufs: 100", "100}", "node.memory.mbufs",
                "mbufs 100 is out of range; give a whole number from 1024 to 16777215, or 0 to have it computed"},
        Mistake{"TunnelSourceNoLength", "punt: {", "tunnels: {source_v4: 198.18.0.0}\n  punt: {", "198.18.0.0}",
                "node.tunnels.source_v4",
                "\"198.18.0.0\" is not an IP address with prefix length; add the length of the network's prefix, like "
                "\"198.18.0.0/24\""},
        Mistake{"TunnelSourceHostBits", "punt: {", "tunnels: {source_v4: 198.18.0.1/16}\n  punt: {", "198.18.0.1/16}",
                "node.tunnels.source_v4",
                "prefix 198.18.0.1/16 has bits set beyond its length; write 198.18.0.0/16, or 198.18.0.1 for this "
                "address alone"},
        Mistake{"TunnelSourceOneAddress", "punt: {", "tunnels: {source_v6: \"2001:db8:ff::1/128\"}\n  punt: {",
                "\"2001:db8:ff::1/128\"", "node.tunnels.source_v6",
                "source_v6 2001:db8:ff::1/128 is a single address, and leaves nothing that could vary by flow; give a "
                "shorter prefix, or remove it to send from the port's address"},
        Mistake{"TunnelSourceFamily", "punt: {", "tunnels: {source_v4: \"2001:db8:ff::/48\"}\n  punt: {",
                "\"2001:db8:ff::/48\"", "node.tunnels.source_v4",
                "source_v4 2001:db8:ff::/48 is an IPv6 prefix; give an IPv4 prefix"},
        Mistake{"TunnelSourceMulticast", "punt: {", "tunnels: {source_v6: \"8000::/1\"}\n  punt: {", "\"8000::/1\"",
                "node.tunnels.source_v6",
                "prefix 8000::/1 has addresses in common with fe80::/10, which are no host's; give a prefix of unicast "
                "addresses"},
        Mistake{"ManagementPort", "rate_limit_pps: 10000", "management_ports: [22, 0]", "0]}",
                "node.punt.management_ports[1]", "port 0 is out of range; give a whole number from 1 to 65535"},
        Mistake{"ManagementPortTwice", "rate_limit_pps: 10000", "management_ports: [22, 22]", "22]}",
                "node.punt.management_ports[1]", "port 22 is given twice; remove one of them"},
        Mistake{"ApiOpen", kListen, "listen: \"0.0.0.0:9106\"", "\"0.0.0.0", "node.api.listen",
                std::string("\"0.0.0.0:9106\"") + kTlsHint},
        Mistake{"ApiOpenIpv6", kListen, "listen: \"[2001:db8::2]:9106\"", "\"[2001", "node.api.listen",
                std::string("\"[2001:db8::2]:9106\"") + kTlsHint},
        Mistake{"ApiRelative", kListen, "listen: \"unix:sluice.sock\"", "\"unix:", "node.api.listen",
                std::string("\"unix:sluice.sock\"") + kSocketHint},
        Mistake{"ApiPathLong", kListen, "listen: \"unix:" + kLongPath + "\"", "\"unix:", "node.api.listen",
                "the path in \"unix:/" + std::string(58, 'p') + "...\" has 108 bytes; a Unix socket's has at most 107"},
        Mistake{"ApiNeither", kListen, "listen: localhost", "localhost", "node.api.listen",
                "\"localhost\" is neither a Unix socket nor an IP address with port; write it like "
                "\"unix:/run/sluice/sluiced.sock\" or \"127.0.0.1:9106\""},
        Mistake{"Metrics", kMetrics, "listen: \"127.0.0.1\"", "\"127.0.0.1\"", "node.metrics.listen",
                "\"127.0.0.1\" is not an IP address with port; write it like \"127.0.0.1:9105\" or \"[::1]:9105\""},
        Mistake{
            "MetricsPort", kMetrics, "listen: \"127.0.0.1:65536\"", "\"127.0.0.1:6", "node.metrics.listen",
            "\"127.0.0.1:65536\" is not an IP address with port; write it like \"127.0.0.1:9105\" or \"[::1]:9105\""},
        Mistake{"MetricsWhereApi", kListen, "listen: \"127.0.0.1:9105\"", "\"127.0.0.1:9105\"}\nserv",
                "node.metrics.listen", "\"127.0.0.1:9105\" is where the API listens; give the metrics another port"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(NodeRulesTest, ValuesAtTheEndsOfTheirRangesAreAccepted) {
  const auto accepts = [](std::string_view from, std::string_view to) {
    EXPECT_EQ(Problems(Replaced(kValid, from, to)), "") << to;
  };
  accepts("mtu: 1500", "mtu: 1280");
  accepts("rx_descriptors: 512", "rx_descriptors: 64");
  accepts("rx_descriptors: 512", "tx_descriptors: 4096");
  accepts("udp_s: 60", "udp_s: 28800");
  accepts("sluice-wan", "sluice-wan-port");
  accepts("{interface: sluice-wan}", "{enabled: false}");
  accepts("gateways: [192.0.2.1]", "gateways: [\"fe80::1\"]");
  accepts("gateways: [192.0.2.1]", "gateways: [192.0.3.1]\n      gateway_mac: \"02:00:00:00:00:01\"");
  accepts(kWorkers, "workers: {count: 2, cpus: [0, 1023]}");
  accepts(kWorkers, "workers: {count: 64}");
  accepts(kListen, "listen: \"[::1]:9106\"");
  accepts(kListen, "listen: \"unix:/" + std::string(106, 'p') + "\"");
  accepts(kMetrics, "listen: \"0.0.0.0:9105\"");
  accepts(kMetrics, "listen: \"[::]:65535\"");
  accepts("{mbufs: 8192}", "{mbufs: 0}");
  accepts("punt: {", "answers_per_s: 0\n  punt: {");
  accepts("punt: {", "tunnels: {source_v4: 198.18.0.0/31, source_v6: \"2001:db8:ff::/127\"}\n  punt: {");
  accepts("connections_v4: 262144", "connections_wide: 1024");
  accepts("connections_v4: 262144", "nat_sessions: 1024");
  accepts("punt: {", "fragments: {packets: 1, held: 0, timeout_s: 60}\n  punt: {");
}

TEST(NodeRulesTest, NumberOfPortsIsLimited) {
  NodeConfig node;
  auto problems = ValidateNode(node);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].field, "node.ports");
  EXPECT_EQ(problems[0].message, "there is no port; give at least one, with a name and a device");
  for (int i = 0; i < 17; ++i) {
    PortConfig port;
    port.name = "p" + std::to_string(i);
    port.devices = {"net_tap" + std::to_string(i)};
    port.exception.interface = port.name;
    node.ports.push_back(port);
  }
  problems = ValidateNode(node);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].message, "there are 17 ports; at most 16 are possible");
  node.ports.pop_back();
  EXPECT_TRUE(ValidateNode(node).empty());
}

}  // namespace
}  // namespace sluice::config
