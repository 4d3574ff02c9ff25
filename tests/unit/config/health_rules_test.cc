#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "config/dump.h"
#include "config/load.h"
#include "config/validate.h"
#include "tests/unit/config/config_text.h"

namespace sluice::config {
namespace {

// A valid configuration whose pool "web" has this check.
std::string WithCheck(const std::string& check) {
  return Replaced(kValid, "      table_size: 65537\n", "      table_size: 65537\n      health_check: " + check + "\n");
}

std::string ComplaintsOf(const std::string& text) {
  const auto config = LoadText(text, "test.yaml");
  return config.ok() ? "" : std::string(config.status().message());
}

std::string MessageOf(const std::string& check) { return ComplaintsOf(WithCheck(check)); }

TEST(HealthRulesTest, UsualChecksAreGood) {
  for (const char* check :
       {"{type: tcp}", "{type: http, path: /healthz, host: www.example.com, status: [200-299, 404]}",
        "{type: https, server_name: www.example.com, ca_file: /etc/ca.pem, http2: true}",
        "{type: grpc, service: shop.Cart, tls: true}", "{type: tcp, direct: true, port: 8080}"}) {
    EXPECT_EQ(MessageOf(check), "") << check;
  }
}

TEST(HealthRulesTest, MistakesAreNamedWithTheRemedy) {
  const std::pair<const char*, const char*> mistakes[] = {
      {"{}", "type"},
      {"{type: ping}", "\"ping\""},
      {"{type: tcp, path: /x}",
       "path of the health check of pool \"web\", whose type is tcp, is only for types http and "
       "https; remove it"},
      {"{type: http, tls: true}", "is only for type grpc; with HTTP, take type https"},
      {"{type: http, server_name: a}", "is only for TLS"},
      {"{type: http, path: healthz}", "does not begin with a slash; write it like /healthz"},
      {"{type: http, path: \"/a b\"}", "has a space or control character"},
      {"{type: http, host: \"a\\r\\nX: y\"}", "has a space or control character"},
      {"{type: http, headers: [\"X-Check\"]}", "is no header; write it like \"X-Check: sluice\""},
      {"{type: http, headers: [\"X: a\\nY: b\"]}", "control character"},
      {"{type: http, status: [99]}", "\"99\" is no status code"},
      {"{type: http, status: [300-200]}", "\"300-200\" is no status code"},
      {"{type: tcp, interval_ms: 10}",
       "interval_ms 10 of the health check of pool \"web\" is out of range; give a whole "
       "number from 100 to 3600000"},
      {"{type: tcp, interval_ms: 1000, fast_interval_ms: 2000}", "is longer than its interval_ms 1000"},
      {"{type: tcp, timeout_ms: 1}", "timeout_ms 1 "},
      {"{type: tcp, rise: 0}", "rise 0 "},
      {"{type: tcp, fall: 101}", "fall 101 "},
      {"{type: tcp, vip: nowhere}", "vip \"nowhere\" of the health check of pool \"web\" is no VIP"},
      {"{type: tcp, colour: red}", "colour"},
  };
  for (const auto& [check, message] : mistakes) EXPECT_THAT(MessageOf(check), testing::HasSubstr(message)) << check;
}

TEST(HealthRulesTest, TheDumpIsReadAsTheSame) {
  const auto config = LoadText(
      WithCheck("{type: http, port: 8080, interval_ms: 500, fast_interval_ms: 100, timeout_ms: 250, rise: 1, fall: 5, "
                "method: HEAD, path: \"/a?b=c\", host: h, headers: [\"X: \\\"y\\\\z\"], status: [200, 300-399], body: "
                "\"it's: ok # really\", http2: true}"),
      "test.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string text = DumpServices(config->services);
  const auto again = LoadServicesText(text, "dump.yaml");
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << text;
  EXPECT_EQ(again->pools[0].health_check, config->services.pools[0].health_check) << text;
}

constexpr std::string_view kSpare =
    "    - {name: spare, slow_start_s: 30, health_check: {type: tcp, vip: www}, backends: [{name: s, address: "
    "192.0.2.19}]}\n    - name: web\n";

TEST(HealthRulesTest, ABackupIsCheckedAsTheVipsThatItStandsInFor) {
  const std::string text = Replaced(kValid, "    - name: web\n", kSpare);
  EXPECT_THAT(ComplaintsOf(text),
              testing::HasSubstr("vip \"www\" of the health check of pool \"spare\" does not use this"));
  EXPECT_EQ(ComplaintsOf(Replaced(text, "table_size: 65537", "backup: spare")), "");
  EXPECT_THAT(ComplaintsOf(Replaced(Replaced(text, "table_size: 65537", "backup: spare"), "port: 80,", "port: all,")),
              testing::HasSubstr("port of the health check of pool \"spare\" must be given"));
}

TEST(HealthRulesTest, WeightsDoNotMoveWhereConnectionsAreNotRemembered) {
  const std::string off = Replaced(kValid, "mode: l2", "mode: l2, connection_tracking: \"off\"");
  EXPECT_EQ(ComplaintsOf(off), "");
  EXPECT_THAT(ComplaintsOf(Replaced(off, "table_size: 65537", "slow_start_s: 30")),
              testing::HasSubstr("VIP \"www\" does not remember its connections, and pool \"web\" has slow_start_s"));
  const std::string spare = Replaced(off, "    - name: web\n", Replaced(kSpare, ", vip: www", ""));
  EXPECT_EQ(ComplaintsOf(spare), "") << "no VIP uses it";
  EXPECT_THAT(
      ComplaintsOf(Replaced(spare, "table_size: 65537", "backup: spare")),
      testing::HasSubstr("VIP \"www\" does not remember its connections, and backup \"spare\" has slow_start_s"));
}

TEST(HealthRulesTest, AVipOfSeveralPortsNeedsThePortToCheck) {
  const std::string text = Replaced(WithCheck("{type: tcp}"), "port: 80,", "port: all,");
  const auto config = LoadText(text, "test.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(std::string(config.status().message()), testing::HasSubstr("has more than one port"));
}

}  // namespace
}  // namespace sluice::config
