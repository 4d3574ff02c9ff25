#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/cookie_layout.h"
#include "config/dump.h"
#include "config/validate_cookies.h"
#include "tests/unit/config/config_text.h"
#include "tests/unit/config/key_file.h"

// The rules of cookies, and that secrets are nowhere but in the schema.
namespace sluice::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// kValid with cookies; `vip` goes to the VIP beside `consistency: cookie`.
std::string WithCookies(const std::string& key_file, std::string_view vip = "") {
  std::string text = Replaced(kValid, "192.0.2.11,", "192.0.2.11, cookie_id: 1,");
  text = Replaced(text, "192.0.2.12,", "192.0.2.12, cookie_id: 200,");
  text = Replaced(text, "mode: l2", "mode: l2, consistency: cookie" + std::string(vip));
  return Replaced(text, "  pools:", "  cookie_keys: [{number: 1, file: " + key_file + "}]\n  pools:");
}

class CookieRules : public testing::Test {
 protected:
  KeyFile file_{std::string(kSecret) + "\n"};
};

TEST_F(CookieRules, ReadsAllOfIt) {
  const std::string text =
      WithCookies(file_.path(), ", cookie: {key_bits: 1, backend_bits: 10, check_bits: 2, idle_s: 7200}");
  const auto config = LoadText(text, "t.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  const ServiceConfig& services = config->services;
  ASSERT_EQ(services.cookie_keys.size(), 1u);
  EXPECT_EQ(services.cookie_keys[0].secret, kSecret);
  EXPECT_EQ(services.pools[0].backends[1].cookie_id, 200);
  EXPECT_EQ(services.vips[0].cookies, Cookies::kBackend);
  EXPECT_EQ(services.vips[0].tracking, ConnectionTracking::kFull);
  // 13 bits: 2^(31 - 13 + 5) ms are 8388 s.
  EXPECT_EQ(CookieLayoutOf(services.vips[0]),
            (lb::CookieLayout{.key_bits = 1, .backend_bits = 10, .check_bits = 2, .clock_bits = 5}));
}

TEST_F(CookieRules, PoolsWithCookiesHaveNoBackup) {
  const std::string text = Replaced(WithCookies(file_.path()), "    - name: web\n",
                                    "    - {name: spare}\n    - name: web\n      backup: spare\n");
  const auto config = LoadText(text, "t.yaml");
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(config.status().message()),
              HasSubstr("consistency cookie of VIP \"www\" cannot be with pool \"web\", which has a backup"));
}

TEST_F(CookieRules, ADumpHasNoSecretAndComesBack) {
  auto config = LoadText(WithCookies(file_.path(), ", cookie: {clock_bits: 4}"), "t.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string text = DumpServices(config->services);
  EXPECT_THAT(text, Not(HasSubstr(kSecret)));
  const auto again = LoadServicesText(text, "dump.yaml");
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << text;
  config->services.cookie_keys[0].secret.clear();
  EXPECT_TRUE(*again == config->services) << text;
}

TEST_F(CookieRules, ALayoutThatCannotIsRefusedWithTheArithmetic) {
  EXPECT_THAT(Problems(WithCookies(file_.path(), ", cookie: {backend_bits: 16, check_bits: 4}")),
              HasSubstr("services.vips[0].cookie: VIP \"www\": the cookie's 1 + 0 + 16 + 4 = 21 bits (key, tier, "
                        "backend, check) with 0 low clock bits leave an idle window of 2^(31-21+0) = 2^10 ms = 1.0 s, "
                        "less than the 7200 s"));
}

TEST_F(CookieRules, WhatDoesNotGoTogether) {
  const auto expect = [&](std::string_view vip, std::string_view problem) {
    EXPECT_THAT(Problems(WithCookies(file_.path(), vip)), HasSubstr(problem));
  };
  expect(", cookie: {backend_bits: 7}",
         "7 backend_bits of VIP \"www\" tell 128 ids apart, and backend \"web-2\" of pool "
         "\"web\" has cookie_id 200; give more backend_bits, or a cookie_id up to 127");
  const std::string text = WithCookies(file_.path());
  EXPECT_THAT(Problems(Replaced(text, "protocol: tcp", "protocol: udp")), HasSubstr("needs protocol tcp"));
  EXPECT_THAT(
      Problems(Replaced(text, "mode: l2", "mode: full-nat")),
      HasSubstr("consistency cookie of VIP \"www\" cannot be with mode full-nat, whose connections are known by "
                "the local port that one director chose; take track, or mode nat, l2 or a tunnel"));
  // With NAT the director makes cookies, so it needs to know by which key.
  const std::string nat = Replaced(text, "mode: l2", "mode: nat");
  EXPECT_THAT(Problems(nat), HasSubstr("services.vips[0].consistency: cookie key 0, with which VIP \"www\" makes its "
                                       "cookies, is not among services.cookie_keys; add it, or name another in "
                                       "cookie.key"));
  EXPECT_EQ(Problems(Replaced(nat, "consistency: cookie", "consistency: cookie, cookie: {key: 1}")), "");
  expect(", cookie: {key: 1}", "services.vips[0].cookie.key: cookie.key of VIP \"www\" means nothing with mode l2");
  EXPECT_THAT(Problems(Replaced(text, "consistency: cookie", "cookie: {key_bits: 1}")),
              HasSubstr("cookie of VIP \"www\" means nothing with consistency track"));
  EXPECT_THAT(Problems(Replaced(text, "number: 1", "number: 2")),
              HasSubstr("the key bits of VIP \"www\" name keys up to 1, and there is a cookie key 2"));
  EXPECT_THAT(Problems(Replaced(text, "consistency: cookie", "consistency: hash, connection_tracking: full")),
              HasSubstr("consistency hash contradicts connection_tracking full; remove one of them"));
}

TEST_F(CookieRules, TwoTiers) {
  constexpr std::string_view kFirst = ", cookie: {tier: 1, tier_bits: 3, backend_bits: 8, check_bits: 2}";
  const std::string text = Replaced(WithCookies(file_.path(), kFirst), "cookie_id: 200", "cookie_id: 7");
  const auto config = LoadText(text, "t.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(IsFirstTier(config->services.vips[0]));
  // 1 + 3 + 8 + 2 = 14 bits need 6 of the clock: 2^(31 - 14 + 6) ms are 8388 s.
  EXPECT_EQ(CookieLayoutOf(config->services.vips[0]).clock_bits, 6);
  const auto again = LoadServicesText(DumpServices(config->services), "dump.yaml");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(IsFirstTier(again->vips[0]));
  EXPECT_THAT(Problems(WithCookies(file_.path(), kFirst)),
              HasSubstr("3 tier_bits of VIP \"www\" tell 8 ids apart, and backend \"web-2\" of pool \"web\" has "
                        "cookie_id 200; give more tier_bits, or a cookie_id up to 7"));
  EXPECT_THAT(Problems(Replaced(text, "tier_bits: 3, ", "")),
              HasSubstr("services.vips[0].cookie.tier_bits: tier 1 of VIP \"www\" needs bits by which cookies name "
                        "its tier-2 directors; give tier_bits 1 to 8"));
  EXPECT_THAT(Problems(Replaced(text, "mode: l2", "mode: gue")),
              HasSubstr("services.vips[0].mode: mode gue of VIP \"www\" cannot be with tier 1: a tier-2 director takes "
                        "its packets as a router sends them; take mode l2"));
  EXPECT_THAT(Problems(Replaced(text, "tier: 1", "tier: 3")),
              HasSubstr("tier 3 of VIP \"www\" is out of range; give a whole number from 1 to 2"));
  EXPECT_THAT(Problems(Replaced(text, "tier_bits: 3", "tier_bits: 8")), HasSubstr("1 + 8 + 8 + 2 = 19 bits"));
  // The second tier: this director is one of those.
  const std::string second = Replaced(text, "tier: 1, ", "");
  EXPECT_THAT(Problems(second),
              HasSubstr("services.vips[0].cookie.tier_bits: 3 tier_bits of VIP \"www\" are for the id of this "
                        "director, which has none; add node.tier_id: 0, the cookie_id that tier-1 directors know it "
                        "by, or remove tier_bits"));
  EXPECT_EQ(Problems(Replaced(second, "node:\n", "node:\n  tier_id: 7\n")), "");
  EXPECT_THAT(Problems(Replaced(second, "node:\n", "node:\n  tier_id: 8\n")),
              HasSubstr("3 tier_bits of VIP \"www\" tell 8 directors apart, and this one has tier_id 8; give more "
                        "tier_bits, or a node.tier_id up to 7"));
  EXPECT_THAT(Problems(Replaced(second, "node:\n", "node:\n  tier_id: 256\n")),
              HasSubstr("node.tier_id: tier_id 256 is out of range; give a whole number from 0 to 255"));
}

TEST_F(CookieRules, IdsOfAFileAreStatedAndUnique) {
  const std::string text = WithCookies(file_.path());
  EXPECT_THAT(Problems(Replaced(text, ", cookie_id: 200", "")),
              HasSubstr("backend \"web-2\" has no cookie_id, which VIP \"www\" names it by in its cookies on all "
                        "directors; add cookie_id: 0"));
  EXPECT_THAT(Problems(Replaced(text, "cookie_id: 200", "cookie_id: 1")),
              HasSubstr("cookie_id 1 of backend \"web-2\" is that of backend \"web-1\" in the same pool"));
}

TEST_F(CookieRules, KeysComeFromFilesThatHoldThem) {
  const std::string text = WithCookies(file_.path());
  EXPECT_THAT(Problems(Replaced(text, file_.path(), "/nowhere")), HasSubstr("cannot open the key file \"/nowhere\""));
  const KeyFile wrong("not a secret");
  const std::string said = Problems(WithCookies(wrong.path()));
  EXPECT_THAT(said, HasSubstr("does not hold 32 hexadecimal digits"));
  EXPECT_THAT(said, Not(HasSubstr("not a secret")));
  EXPECT_THAT(Problems(Replaced(text, "  cookie_keys: [{number: 1, file: " + file_.path() + "}]\n", "")),
              HasSubstr("there is a VIP with consistency cookie, and no key"));
}

TEST_F(CookieRules, StatefulNeedsNeitherIdsNorKeys) {
  const std::string text = Replaced(kValid, "mode: l2", "mode: l2, consistency: stateful");
  EXPECT_EQ(Problems(text), "");
  EXPECT_EQ(LoadText(text, "t.yaml")->services.vips[0].cookies, Cookies::kSlot);
  EXPECT_THAT(Problems(Replaced(text, "consistency: stateful", "consistency: stateful, cookie: {key_bits: 1}")),
              HasSubstr("cookie of VIP \"www\" means nothing with consistency stateful; remove it, or take cookie"));
  EXPECT_THAT(Problems(Replaced(text, "protocol: tcp", "protocol: udp")),
              HasSubstr("consistency stateful of VIP \"www\" needs protocol tcp"));
  EXPECT_THAT(Problems(Replaced(text, "mode: l2", "mode: nat")),
              HasSubstr("consistency stateful of VIP \"www\" cannot be with mode nat"));
}

TEST_F(CookieRules, OneWordSaysBothSettings) {
  for (const auto& [word, tracking] : {std::pair("hash", ConnectionTracking::kOff),
                                       {"track", ConnectionTracking::kFull},
                                       {"track_unsafe", ConnectionTracking::kUnsafe}}) {
    const auto config = LoadText(Replaced(kValid, "mode: l2", std::string("mode: l2, consistency: ") + word), "t.yaml");
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->services.vips[0].tracking, tracking);
    EXPECT_EQ(config->services.vips[0].cookies, Cookies::kNone);
  }
}

TEST_F(CookieRules, UnsafeTrackingIsForTcpWhereTheHashDecides) {
  const std::string text = Replaced(kValid, "mode: l2", "mode: ipip, consistency: track_unsafe");
  EXPECT_EQ(Problems(text), "");
  EXPECT_EQ(Problems(Replaced(text, "consistency: track_unsafe", "connection_tracking: unsafe")), "");
  EXPECT_THAT(
      Problems(Replaced(text, "protocol: tcp", "protocol: udp")),
      HasSubstr("services.vips[0].consistency: consistency track_unsafe of VIP \"www\" needs protocol tcp, whose "
                "SYNs tell new connections from those that go on; take track or hash"));
  EXPECT_THAT(
      Problems(Replaced(text, "mode: ipip", "mode: nat")),
      HasSubstr("consistency track_unsafe of VIP \"www\" cannot be with mode nat, by whose entries the way back "
                "is known; take track, or mode l2 or a tunnel"));
  EXPECT_THAT(Problems(Replaced(text, "consistency: track_unsafe", "consistency: track, connection_tracking: unsafe")),
              HasSubstr("consistency track contradicts connection_tracking unsafe; remove one of them"));
  // With cookies it is about connections that have none.
  const std::string both = "mode: l2, consistency: stateful, connection_tracking: unsafe";
  EXPECT_EQ(Problems(Replaced(kValid, "mode: l2", both)), "");
  EXPECT_THAT(Problems(Replaced(Replaced(kValid, "mode: l2", both), "mode: l2", "mode: full-nat")),
              HasSubstr("connection_tracking unsafe of VIP \"www\" cannot be with mode full-nat"));
}

}  // namespace
}  // namespace sluice::config
