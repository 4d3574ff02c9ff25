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

TEST(DumpTest, WritesDefaultsAndKeepsUnsetDrainUnset) {
  ServiceConfig services;
  services.pools = {{"web",
                     65537,
                     {{"a", *net::IpAddress::Parse("2001:db8::1"), 100, std::nullopt},
                      {"b", *net::IpAddress::Parse("192.0.2.1"), 0, false}}}};
  services.vips = {{"v", *net::IpAddress::Parse("203.0.113.1"), Protocol::kUdp, 53, "web", ForwardingMode::kIpip}};
  EXPECT_EQ(DumpServices(services),
            "services:\n"
            "  pools:\n"
            "    - name: web\n"
            "      table_size: 65537\n"
            "      backends:\n"
            "        - {name: a, address: \"2001:db8::1\", weight: 100}\n"
            "        - {name: b, address: 192.0.2.1, weight: 0, drain: false}\n"
            "  vips:\n"
            "    - {name: v, address: 203.0.113.1, protocol: udp, port: 53, pool: web, mode: ipip}\n");
}

}  // namespace
}  // namespace sluice::config
