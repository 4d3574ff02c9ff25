#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "tests/unit/config/config_text.h"

namespace sluice::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

net::IpAddress Ip(const char* text) { return *net::IpAddress::Parse(text); }

// One file with many mistakes.
const char kBroken[] = R"(node:
  nmae: edge
  ports:
    - name: wan
      devices: net_tap0
      addresses: [192.0.2.2, 10.0.0.0/24]
      mtu: "1500"
      exception: {enabled: yes, interface: x}
  workers: {count: 1.5}
services:
  pools:
    - name: web
      backends:
        - {name: web-1, adress: 192.0.2.11, weight: 1001}
        - {name: web-2, address: 192.0.2.300, weight: -1}
        - web-3
  vips:
    - {name: www, address: 203.0.113.10, port: 70000, pool: wbe}
)";

TEST(LoadTest, EveryKeyArrivesWhereItBelongs) {
  const auto config = LoadText(R"(
node:
  name: edge-9
  ports:
    - name: wan
      devices: [net_tap0, "net_tap1,iface=x"]
      addresses: [192.0.2.2/24, "2001:db8::2/64"]
      gateways: [192.0.2.1, "2001:db8::1"]
      gateway_mac: "02:00:00:00:00:0a"
      mtu: 1600
      rx_descriptors: 128
      tx_descriptors: 256
      exception: {interface: ex0, enabled: true}
  workers: {count: 2, cpus: [3, 5], idle: poll}
  memory: {hugepages: require, mbufs: 4096, mbuf_data_bytes: 4096}
  tables: {connections_v4: 2048, connections_v6: 4096, connections_wide: 8192, nat_sessions: 9216,
           connections_stateful: 10240}
  timeouts: {tcp_syn_s: 11, tcp_established_s: 12, tcp_closing_s: 13, tcp_reset_s: 14, udp_s: 15}
  tunnels: {source_v4: 198.18.0.0/16, source_v6: "2001:db8:ff::/48"}
  nat: {local_addresses: [198.51.100.5, "2001:db8:5::5"], local_ports: 20000-29999}
  fragments: {packets: 71, held: 72, timeout_s: 13}
  answers_per_s: 55
  copies_per_s: 56
  punt: {management_ports: [22, 830], rate_limit_pps: 77}
  api: {listen: "127.0.0.1:9999"}
  metrics: {enabled: false, listen: "[::1]:9998"}
services:
  seed: 0123456789abcdefABCDEF9876543210
  pools:
    - name: p
      table_size: 251
      backends:
        - {name: b1, address: 192.0.2.11, weight: 7, drain: true}
        - {name: b2, address: 192.0.2.12, drain: false}
        - {name: b3, address: 192.0.2.13}
    - {name: q, backends: [{name: b4, address: 192.0.2.14, port: 8080}]}
  vips:
    - {name: v, address: 203.0.113.1, protocol: udp, port: 53, pool: p, mode: ipip}
    - name: w
      gue_port: 6081
      address: "2001:db8:f::/64"
      port: 8000-8999
      pool: p
      mode: gue
      hash: client
      connection_tracking: off
      answer_echo: false
      timeouts: {tcp_syn_s: 21, tcp_established_s: 22, tcp_closing_s: 23, tcp_reset_s: 24, udp_s: 25}
    - {name: x, address: 203.0.113.1, port: all, pool: p, mode: gue-direct}
    - {name: y, address: 203.0.113.2, port: 80, pool: q, mode: full-nat, proxy_protocol: v2, clamp_mss: false}
    - {name: z, address: 203.0.113.3, port: 80, pool: q, mode: nat}
)",
                               "t.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  Config expected;
  expected.node.name = "edge-9";
  PortConfig port;
  port.name = "wan";
  port.devices = {"net_tap0", "net_tap1,iface=x"};
  port.addresses = {{Ip("192.0.2.2"), 24}, {Ip("2001:db8::2"), 64}};
  port.gateways = {Ip("192.0.2.1"), Ip("2001:db8::1")};
  port.gateway_mac = net::MacAddress::Parse("02:00:00:00:00:0a");
  port.mtu_bytes = 1600;
  port.rx_descriptors = 128;
  port.tx_descriptors = 256;
  port.exception = {true, "ex0"};
  expected.node.ports = {port};
  expected.node.workers = {2, {3, 5}, IdleMode::kPoll};
  expected.node.memory = {MemoryConfig::Hugepages::kRequire, 4096, 4096};
  expected.node.tables = {2048, 4096, 8192, 9216, 10240};
  expected.node.timeouts = {11, 12, 13, 14, 15};
  expected.node.tunnels = {net::IpPrefix{Ip("198.18.0.0"), 16}, net::IpPrefix{Ip("2001:db8:ff::"), 48}};
  expected.node.nat = {{Ip("198.51.100.5"), Ip("2001:db8:5::5")}, {20000, 29999}};
  expected.node.fragments = {71, 72, 13};
  expected.node.answers_per_s = 55;
  expected.node.copies_per_s = 56;
  expected.node.punt = {{22, 830}, 77};
  expected.node.api = {"127.0.0.1:9999"};
  expected.node.metrics = {false, "[::1]:9998"};
  expected.services.seed = "0123456789abcdefABCDEF9876543210";
  expected.services.pools = {{"p",
                              251,
                              {{"b1", Ip("192.0.2.11"), 7, true},
                               {"b2", Ip("192.0.2.12"), 100, false},
                               {"b3", Ip("192.0.2.13"), 100, std::nullopt}}},
                             {"q", 65537, {{"b4", Ip("192.0.2.14"), 100, std::nullopt, 8080}}}};
  std::vector<VipConfig>& vips = expected.services.vips;
  vips.resize(5);
  for (VipConfig& vip : vips) vip.pool = "p";
  vips[0].name = "v";
  vips[0].prefix = {Ip("203.0.113.1"), 32};
  vips[0].protocol = Protocol::kUdp;
  vips[0].ports = {53, 53};
  vips[0].mode = ForwardingMode::kIpip;
  vips[1].name = "w";
  vips[1].prefix = {Ip("2001:db8:f::"), 64};
  vips[1].ports = {8000, 8999};
  vips[1].mode = ForwardingMode::kGue;
  vips[1].gue_port = 6081;
  vips[1].hash = HashInput::kClient;
  vips[1].tracking = ConnectionTracking::kOff;
  vips[1].answer_echo = false;
  vips[1].timeouts = {21, 22, 23, 24, 25};
  vips[2].name = "x";
  vips[2].prefix = {Ip("203.0.113.1"), 32};
  vips[2].ports = {0, 65535};
  vips[2].mode = ForwardingMode::kGueDirect;
  vips[2].gue_port = 6080;  // the default of its mode
  vips[3].name = "y";
  vips[3].prefix = {Ip("203.0.113.2"), 32};
  vips[3].ports = {80, 80};
  vips[3].pool = "q";
  vips[3].mode = ForwardingMode::kFullNat;
  vips[3].proxy_protocol = ProxyProtocol::kV2;
  vips[3].clamp_mss = false;
  vips[4] = vips[3];
  vips[4].name = "z";
  vips[4].prefix = {Ip("203.0.113.3"), 32};
  vips[4].mode = ForwardingMode::kNat;
  vips[4].proxy_protocol = ProxyProtocol::kNone;
  vips[4].clamp_mss = true;
  EXPECT_TRUE(config->node == expected.node);
  EXPECT_TRUE(config->services == expected.services);
}

TEST(LoadTest, WhatIsNotWrittenHasItsDefault) {
  const auto config = LoadText(
      "node:\n  ports:\n    - {name: wan, devices: [net_tap0], exception: {interface: x}}\n"
      "  workers:\n  # all of this section is commented out\n"
      "services:\n  seed: 000102030405060708090a0b0c0d0e0f\n",
      "t.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  NodeConfig expected;
  expected.ports.resize(1);
  expected.ports[0].name = "wan";
  expected.ports[0].devices = {"net_tap0"};
  expected.ports[0].exception.interface = "x";
  EXPECT_TRUE(config->node == expected);
  EXPECT_EQ(config->node.ports[0].mtu_bytes, 1500u);
  EXPECT_EQ(config->node.workers.count, 1u);
  EXPECT_EQ(config->node.punt.management_ports, std::vector<uint16_t>{22});
  EXPECT_EQ(config->node.tables.connections_wide, 16384u);
  EXPECT_EQ(config->node.answers_per_s, 1000u);
  EXPECT_EQ(config->node.copies_per_s, 4000u);
  EXPECT_FALSE(config->node.tunnels.source_v4.has_value());
  EXPECT_EQ(config->node.api.listen, "unix:/run/sluice/sluiced.sock");
}

TEST(LoadTest, EveryExampleIsValid) {
  for (const std::string& name : ExampleNames()) {
    const auto config = LoadFile(ExamplePath(name));
    EXPECT_TRUE(config.ok()) << config.status();
    EXPECT_TRUE(LoadServicesFile(ExamplePath(name)).ok());
  }
}

TEST(LoadTest, AllProblemsAreReportedInTheOrderOfTheFile) {
  EXPECT_THAT(
      Lines(Problems(kBroken)),
      ElementsAre(
          "t.yaml:2:3: node.nmae: unknown key \"nmae\"; did you mean name?",
          "t.yaml:5:16: node.ports[0].devices: \"net_tap0\" stands where a list belongs; write \"[...]\" or a line "
          "with "
          "\"- \" for each item",
          "t.yaml:6:19: node.ports[0].addresses[0]: \"192.0.2.2\" is not an IP address with prefix length; add the "
          "length "
          "of the network's prefix, like \"192.0.2.2/24\"",
          "t.yaml:6:30: node.ports[0].addresses[1]: \"10.0.0.0/24\" is the address of a network and not of a host in "
          "it; "
          "give this machine's own address",
          "t.yaml:7:12: node.ports[0].mtu: \"1500\" is text and not a whole number; write it without quotes",
          "t.yaml:8:28: node.ports[0].exception.enabled: \"yes\" is neither true nor false; write true or false",
          "t.yaml:9:20: node.workers.count: \"1.5\" is not a whole number; give one from 1 to 64",
          "t.yaml:11:3: services.seed: is missing; add \"seed: <the output of: openssl rand -hex 16>\"",
          "t.yaml:14:25: services.pools[0].backends[0].adress: unknown key \"adress\"; did you mean address?",
          "t.yaml:14:53: services.pools[0].backends[0].weight: weight 1001 of backend \"web-1\" is out of range; give "
          "a "
          "whole number from 0 to 1000",
          "t.yaml:15:34: services.pools[0].backends[1].address: \"192.0.2.300\" is not an IP address; write it like "
          "192.0.2.11 or \"2001:db8::11\"",
          "t.yaml:15:55: services.pools[0].backends[1].weight: -1 is out of range; give a whole number from 0 to 1000",
          "t.yaml:16:11: services.pools[0].backends[2]: \"web-3\" stands where a map (\"key: value\") belongs",
          "t.yaml:18:48: services.vips[0].port: 70000 is out of range; give a whole number from 1 to 65535",
          "t.yaml:18:61: services.vips[0].pool: VIP \"www\" refers to pool \"wbe\", which does not exist; did you mean "
          "\"web\"?"));
}

TEST(LoadTest, ErrorsInTheReadmeAreThosePrinted) {
  std::ifstream readme(std::string(SLUICE_SOURCE_DIR) + "/config/README.md");
  const absl::Status status = LoadText(kBroken, "sluice.yaml").status();
  const auto printed = Lines(std::string(status.message()));
  int found = 0;
  for (std::string line; std::getline(readme, line);) {
    if (line.rfind("    sluice.yaml:", 0) != 0) continue;
    EXPECT_THAT(printed, testing::Contains(line.substr(4)));
    ++found;
  }
  EXPECT_GE(found, 5);
}

TEST(LoadServicesTest, TakesTheServicesAlone) {
  const auto services = LoadServicesText("services:\n  pools:\n    - {name: web}\n", "t.yaml");
  ASSERT_TRUE(services.ok()) << services.status();
  ASSERT_EQ(services->pools.size(), 1u);
  EXPECT_EQ(services->seed, "");
}

TEST(LoadServicesTest, TakesTheServicesOfACompleteFileAndDoesNotLookAtTheNode) {
  const auto services = LoadServicesText(Replaced(kValid, "mtu: 1500", "mtu: wrong"), "t.yaml");
  ASSERT_TRUE(services.ok()) << services.status();
  EXPECT_EQ(services->vips.size(), 1u);
}

TEST(LoadServicesTest, ReportsProblems) {
  EXPECT_EQ(LoadServicesText("pools: []\n", "t.yaml").status().message(),
            "t.yaml:1:1: pools: unknown key \"pools\"; known here: node, services\n"
            "t.yaml:1:1: services: is missing; add \"services: {pools: [...], vips: [...]}\"");
  EXPECT_EQ(LoadServicesText("services: {seed: abc}\n", "t.yaml").status().message(),
            "t.yaml:1:18: services.seed: the seed has 3 characters and must have 32 hexadecimal digits; take your own "
            "from: openssl rand -hex 16");
}

TEST(LoadFileTest, SaysWhyAFileCannotBeRead) {
  const auto missing = LoadFile("/nonexistent/sluice.yaml");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("\"/nonexistent/sluice.yaml\": No such file"));
  EXPECT_THAT(std::string(LoadServicesFile("/").status().message()), HasSubstr("Is a directory"));
  const auto endless = LoadFile("/dev/zero");
  EXPECT_EQ(endless.status().message(), "/dev/zero:1:1: the document is larger than 16777216 bytes");
}

}  // namespace
}  // namespace sluice::config
