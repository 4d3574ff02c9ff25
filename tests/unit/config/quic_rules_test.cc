#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/dump.h"
#include "tests/unit/config/config_text.h"
#include "tests/unit/config/key_file.h"

// The rules of connection ids of QUIC, and that keys are nowhere but in the schema.
namespace sluice::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class QuicRules : public testing::Test {
 protected:
  std::string Configs() const {
    return "[{number: 0, server_id_bytes: 3, nonce_bytes: 4, key_file: " + file_.path() +
           "}, {number: 5, server_id_bytes: 1, nonce_bytes: 6}]";
  }
  // kValid with QUIC; `configs` goes to quic_configs.
  static std::string WithQuic(const std::string& configs) {
    std::string text = Replaced(kValid, "192.0.2.11,", "192.0.2.11, quic_server_ids: [\"31441a\", \"0B\"],");
    text = Replaced(text, "192.0.2.12,", "192.0.2.12, quic_server_ids: [\"31441b\", \"0c\"],");
    text = Replaced(text, "protocol: tcp", "protocol: udp, quic: true");
    return Replaced(text, "  pools:", "  quic_configs: " + configs + "\n  pools:");
  }

  KeyFile file_{std::string(kSecret) + "\n"};
};

TEST_F(QuicRules, ReadsAllOfItAndADumpHasNoKey) {
  auto config = LoadText(WithQuic(Configs()), "t.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  ServiceConfig& services = config->services;
  ASSERT_EQ(services.quic_configs.size(), 2u);
  EXPECT_EQ(
      services.quic_configs[0],
      (QuicConfig{
          .number = 0, .server_id_bytes = 3, .nonce_bytes = 4, .encrypted = true, .secret = std::string(kSecret)}));
  EXPECT_EQ(services.quic_configs[1],
            (QuicConfig{.number = 5, .server_id_bytes = 1, .nonce_bytes = 6, .encrypted = false, .secret = ""}));
  EXPECT_TRUE(services.vips[0].quic);
  EXPECT_EQ(services.pools[0].backends[0].quic_server_ids, (std::vector<std::string>{"31441a", "0B"}));
  const std::string text = DumpServices(services);
  EXPECT_THAT(text, Not(HasSubstr(kSecret)));
  const auto again = LoadServicesText(text, "dump.yaml");
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << text;
  services.quic_configs[0].secret.clear();
  EXPECT_TRUE(*again == services) << text;
}

TEST_F(QuicRules, WhatIsWrongIsNamed) {
  const std::string text = WithQuic(Configs());
  EXPECT_EQ(Problems(text), "");
  const auto with = [&](std::string_view from, std::string_view to) {
    return Problems(Replaced(text, std::string(from), std::string(to)));
  };
  EXPECT_THAT(with("protocol: udp", "protocol: tcp"), HasSubstr("quic of VIP \"www\" needs protocol udp"));
  EXPECT_THAT(with("mode: l2", "mode: nat"), HasSubstr("quic of VIP \"www\" cannot be with mode nat"));
  EXPECT_THAT(with("number: 5", "number: 0"), HasSubstr("QUIC configuration 0 is there twice"));
  EXPECT_THAT(with("number: 5", "number: 7"), HasSubstr("out of range"));
  EXPECT_THAT(with("nonce_bytes: 6", "nonce_bytes: 3"), HasSubstr("QUIC configuration 5: "));
  EXPECT_THAT(with("nonce_bytes: 6", "nonce_bytes: 19"), HasSubstr("QUIC configuration 5: "));
  EXPECT_THAT(with("nonce_bytes: 6", "nonce_bytes: 6, encrypted: true"),
              HasSubstr("an encrypted configuration needs its key"));
  EXPECT_THAT(with("31441b", "31441"),
              HasSubstr("QUIC server id \"31441\" of backend \"web-2\" is none; give 1 to 15"));
  EXPECT_THAT(with("31441b", "31441A"), HasSubstr("is that of backend \"web-1\" in the same pool"));
  EXPECT_THAT(with(", \"0c\"", ""),
              HasSubstr("backend \"web-2\" has no QUIC server id of 1 bytes, by which configuration 5"));
  EXPECT_THAT(Problems(WithQuic("[]")), HasSubstr("there is a VIP with quic, and no configuration"));
  const KeyFile wrong("not a secret");
  const std::string said = with(file_.path(), wrong.path());
  EXPECT_THAT(said, HasSubstr("does not hold 32 hexadecimal digits"));
  EXPECT_THAT(said, Not(HasSubstr("not a secret")));
}

}  // namespace
}  // namespace sluice::config
