#include "config/dump.h"

#include <gtest/gtest.h>

#include "tests/unit/config/config_text.h"

namespace sluice::config {
namespace {

void ExpectRoundTrip(const ServiceConfig& services) {
  const std::string text = DumpServices(services);
  const auto again = LoadServicesText(text, "dump.yaml");
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << text;
  EXPECT_TRUE(*again == services) << text;
}

TEST(DumpTest, ExamplesComeBackEqual) {
  for (const std::string& name : ExampleNames()) {
    const auto config = LoadFile(ExamplePath(name));
    ASSERT_TRUE(config.ok()) << config.status();
    ExpectRoundTrip(config->services);
  }
}

TEST(DumpTest, NothingComesBackEqual) { ExpectRoundTrip({}); }

TEST(DumpTest, NamesThatYamlTakesForOtherThingsComeBackEqual) {
  ServiceConfig services;
  for (const char* name : {"null", "Null", "true", "no", "on", "y",  "123",  "1e3", "0x10", "-",
                           "--",   "---",  "...",  ".",  "_",  "-1", ".inf", "a-b", "A",    "a.b"}) {
    services.pools.push_back({name, 251, {{name, *net::IpAddress::Parse("192.0.2.1"), 0, true}}});
  }
  ExpectRoundTrip(services);
}

// Every value of every key of a VIP, one at a time.
TEST(DumpTest, VipsComeBackEqual) {
  VipConfig base;
  base.name = "v";
  base.prefix = *net::IpPrefix::Parse("203.0.113.1");
  base.ports = PortRange::Single(1);
  base.pool = "p";
  std::vector<VipConfig> vips = {base};
  const auto add = [&](auto member, auto value) {
    vips.push_back(base);
    vips.back().*member = value;
  };
  add(&VipConfig::prefix, *net::IpPrefix::Parse("203.0.112.0/23"));
  add(&VipConfig::prefix, *net::IpPrefix::Parse("2001:db8::1"));
  add(&VipConfig::ports, PortRange::All());
  add(&VipConfig::ports, PortRange{1, 65535});
  add(&VipConfig::mode, ForwardingMode::kIpip);
  add(&VipConfig::mode, ForwardingMode::kGre);
  for (const ForwardingMode mode : {ForwardingMode::kGue, ForwardingMode::kGueDirect}) {
    add(&VipConfig::mode, mode);
    vips.back().gue_port = 1234;
  }
  add(&VipConfig::hash, HashInput::kClientPort);
  add(&VipConfig::hash, HashInput::kClient);
  add(&VipConfig::tracking, ConnectionTracking::kOff);
  add(&VipConfig::answer_echo, false);
  add(&VipConfig::mode, ForwardingMode::kNat);
  add(&VipConfig::clamp_mss, false);
  for (const auto member :
       {&VipTimeoutsConfig::tcp_syn_s, &VipTimeoutsConfig::tcp_established_s, &VipTimeoutsConfig::tcp_closing_s,
        &VipTimeoutsConfig::tcp_reset_s, &VipTimeoutsConfig::udp_s}) {
    vips.push_back(base);
    vips.back().timeouts.*member = 11;
  }
  for (const VipConfig& vip : vips) {
    ServiceConfig services;
    services.pools.resize(1);
    services.pools[0].name = "p";
    services.vips = {vip};
    ExpectRoundTrip(services);
  }
}

// Full NAT needs more than the services, so only what is written of it is looked at.
TEST(DumpTest, WritesFullNat) {
  ServiceConfig services;
  services.vips.resize(1);
  services.vips[0].mode = ForwardingMode::kFullNat;
  services.vips[0].proxy_protocol = ProxyProtocol::kV2;
  const std::string text = DumpServices(services);
  EXPECT_NE(text.find("mode: full-nat"), std::string::npos) << text;
  EXPECT_NE(text.find("proxy_protocol: v2"), std::string::npos) << text;
}

TEST(DumpTest, BackendsWithPortsComeBackEqual) {
  ServiceConfig services;
  services.pools = {{"p",
                     251,
                     {{"a", *net::IpAddress::Parse("192.0.2.1"), 1, std::nullopt, 8080},
                      {"b", *net::IpAddress::Parse("192.0.2.1"), 1, true, 8081}}}};
  ExpectRoundTrip(services);
}

TEST(DumpTest, WritesDefaultsAndKeepsUnsetDrainUnset) {
  ServiceConfig services;
  services.pools = {{"web",
                     65537,
                     {{"a", *net::IpAddress::Parse("2001:db8::1"), 100, std::nullopt},
                      {"b", *net::IpAddress::Parse("192.0.2.1"), 0, false}}}};
  services.pools[0].policy = {.on_down = OnDown::kReset,
                              .no_backend = NoBackend::kIcmp,
                              .backup = "spare",
                              .panic_threshold_percent = 30,
                              .scheduling = Scheduling::kPowerOfTwo,
                              .slow_start_s = 60,
                              .slow_start_steps = 20,
                              .weight_by_load = true,
                              .weight_floor_percent = 50};
  services.vips.resize(2);
  services.vips[0].name = "v";
  services.vips[0].prefix = *net::IpPrefix::Parse("203.0.113.1");
  services.vips[0].protocol = Protocol::kUdp;
  services.vips[0].ports = PortRange::Single(53);
  services.vips[0].pool = "web";
  services.vips[0].mode = ForwardingMode::kIpip;
  services.vips[1].name = "w";
  services.vips[1].prefix = *net::IpPrefix::Parse("2001:db8:f::/64");
  services.vips[1].ports = {8000, 8999};
  services.vips[1].pool = "web";
  services.vips[1].mode = ForwardingMode::kGueDirect;
  services.vips[1].gue_port = 6081;
  services.vips[1].hash = HashInput::kClientPort;
  services.vips[1].tracking = ConnectionTracking::kOff;
  services.vips[1].answer_echo = false;
  services.vips[1].timeouts.tcp_syn_s = 5;
  services.vips[1].timeouts.udp_s = 7;
  EXPECT_EQ(
      DumpServices(services),
      "services:\n"
      "  pools:\n"
      "    - name: web\n"
      "      table_size: 65537\n"
      "      policy: power-of-two\n"
      "      on_down: reset\n"
      "      no_backend: icmp\n"
      "      backup: spare\n"
      "      panic_threshold_percent: 30\n"
      "      slow_start_s: 60\n"
      "      slow_start_steps: 20\n"
      "      weight_by_load: true\n"
      "      weight_floor_percent: 50\n"
      "      backends:\n"
      "        - {name: a, address: \"2001:db8::1\", weight: 100}\n"
      "        - {name: b, address: 192.0.2.1, weight: 0, drain: false}\n"
      "  vips:\n"
      "    - {name: v, address: 203.0.113.1, protocol: udp, port: 53, pool: web, mode: ipip,\n"
      "       hash: tuple, connection_tracking: \"full\", answer_echo: true,\n"
      "       proxy_protocol: none, clamp_mss: true}\n"
      "    - {name: w, address: \"2001:db8:f::/64\", protocol: tcp, port: 8000-8999, pool: web, mode: gue-direct, "
      "gue_port: 6081,\n"
      "       hash: client-port, connection_tracking: \"off\", answer_echo: false,\n"
      "       proxy_protocol: none, clamp_mss: true,\n"
      "       timeouts: {tcp_syn_s: 5, udp_s: 7}}\n");
}

}  // namespace
}  // namespace sluice::config
