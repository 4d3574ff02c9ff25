#include <gtest/gtest.h>

#include "config/validate.h"
#include "tests/unit/config/config_text.h"

namespace sluice::config {
namespace {

class ServiceRules : public testing::TestWithParam<Mistake> {};
TEST_P(ServiceRules, MistakeIsReported) { ExpectReported(GetParam()); }

const char kTwoVips[] =
    "    - {name: www, address: 203.0.113.10, protocol: tcp, port: 80, pool: web, mode: l2}\n"
    "    - {name: two, address: 203.0.113.10, protocol: tcp, port: 80, pool: web, mode: l2}\n";
const char kOneVip[] = "    - {name: www, address: 203.0.113.10, protocol: tcp, port: 80, pool: web, mode: l2}\n";
const char kSeedHint[] = "; take your own from: openssl rand -hex 16";
const char kUnicast[] = "; give a unicast address that is reachable from other hosts";
const std::string kSeed = "000102030405060708090a0b0c0d0e0f";
const std::string kLongName(64, 'n');

INSTANTIATE_TEST_SUITE_P(
    All, ServiceRules,
    testing::Values(
        Mistake{"SeedTooShort", kSeed, "abcd", "abcd", "services.seed",
                std::string("the seed has 4 characters and must have 32 hexadecimal digits") + kSeedHint},
        Mistake{"SeedNotHex", kSeed, "g00102030405060708090a0b0c0d0e0f", "g001", "services.seed",
                std::string("the seed has a character that is no hexadecimal digit") + kSeedHint},
        Mistake{"SeedEmpty", kSeed, "\"\"", "\"\"\n", "services.seed", std::string("the seed is empty") + kSeedHint},
        Mistake{"PoolNameEmpty", "- name: web\n", "- name: \"\"\n    - name: web\n", "\"\"\n", "services.pools[0].name",
                "the name is empty; give one"},
        Mistake{"PoolNameTwice", "    - name: web\n", "    - name: web\n    - name: web # 2\n", "web # 2",
                "services.pools[1].name", "there are two pools with the name \"web\"; rename one of them"},
        Mistake{"BackendNameCharacter", "web-2", "\"web 2\"", "\"web 2\"", "services.pools[0].backends[1].name",
                "name \"web 2\" has a character that names cannot have; use letters, digits, \".\", \"_\" and \"-\""},
        Mistake{"BackendNameLong", "web-2", kLongName, kLongName, "services.pools[0].backends[1].name",
                "name \"" + kLongName + "\" has 64 characters; at most 63 are allowed"},
        Mistake{"BackendNameTwice", "name: web-2", "name: web-1", "web-1, address: 192.0.2.12",
                "services.pools[0].backends[1].name", "backend \"web-1\" is in pool \"web\" twice; rename one of them"},
        Mistake{"BackendAddressTwice", "192.0.2.12", "192.0.2.11", "192.0.2.11, weight: 200",
                "services.pools[0].backends[1].address",
                "backend \"web-2\" has the address 192.0.2.11 of backend \"web-1\" in the same pool; keep one and give "
                "it both weights"},
        Mistake{"BackendUnspecified", "192.0.2.12", "0.0.0.0", "0.0.0.0", "services.pools[0].backends[1].address",
                std::string("address 0.0.0.0 is unspecified") + kUnicast},
        Mistake{"BackendMulticast", "192.0.2.12", "224.0.0.9", "224.0.0.9", "services.pools[0].backends[1].address",
                std::string("address 224.0.0.9 is a multicast address") + kUnicast},
        Mistake{"BackendIsVip", "192.0.2.12", "203.0.113.10", "203.0.113.10, weight",
                "services.pools[0].backends[1].address",
                "backend \"web-2\" has the address 203.0.113.10 of VIP \"www\"; give the server's own address"},
        Mistake{
            "BackendIsNode", "192.0.2.12", "192.0.2.2", "192.0.2.2, weight", "services.pools[0].backends[1].address",
            "backend \"web-2\" has the address 192.0.2.2 of this node's port \"wan\"; a backend is another machine"},
        Mistake{"PolicyUnknown", "table_size: 65537", "policy: wrr", "wrr", "services.pools[0].policy",
                "\"wrr\" is not one of maglev, weighted-round-robin, power-of-two, least-connections"},
        Mistake{"Weight", "weight: 200", "weight: 1001", "1001", "services.pools[0].backends[1].weight",
                "weight 1001 of backend \"web-2\" is out of range; give a whole number from 0 to 1000"},
        Mistake{"TableSizeNotPrime", "65537", "65536", "65536", "services.pools[0].table_size",
                "table_size 65536 of pool \"web\" is not a prime; take 65537"},
        Mistake{"TableSizeTooSmallForPool", "table_size: 65537\n      backends:\n",
                "table_size: 3\n      backends:\n        - {name: x, address: 192.0.2.13}\n", "3\n      backends",
                "services.pools[0].table_size", "table_size 3 of pool \"web\" is too small for 3 backends; take 307"},
        Mistake{"TableSizeRange", "65537", "5000000", "5000000", "services.pools[0].table_size",
                "table_size 5000000 of pool \"web\" is out of range; give a whole number from 3 to 4999999, a prime"},
        Mistake{"PoolOnDownWord", "table_size: 65537", "on_down: move", "move", "services.pools[0].on_down",
                "\"move\" is not one of keep, reschedule, reset"},
        Mistake{"PoolNoBackendWord", "table_size: 65537", "no_backend: resett", "resett",
                "services.pools[0].no_backend", "\"resett\" is not one of drop, icmp, reset; did you mean reset?"},
        Mistake{"PoolPanicThreshold", "table_size: 65537", "panic_threshold_percent: 101", "101",
                "services.pools[0].panic_threshold_percent",
                "panic_threshold_percent 101 of pool \"web\" is out of range; give a whole number from 0 to 100"},
        Mistake{"PoolSlowStart", "table_size: 65537", "slow_start_s: 3601", "3601", "services.pools[0].slow_start_s",
                "slow_start_s 3601 of pool \"web\" is out of range; give a whole number from 0 to 3600"},
        Mistake{"PoolSlowStartSteps", "table_size: 65537", "slow_start_steps: 0", "0\n      backends",
                "services.pools[0].slow_start_steps",
                "slow_start_steps 0 of pool \"web\" is out of range; give a whole number from 1 to 100"},
        Mistake{
            "PoolWeightByLoadOfNobody", "table_size: 65537", "weight_by_load: true", "true",
            "services.pools[0].weight_by_load",
            "pool \"web\" has no health_check of type http or https, whose answers would tell the load; add one, or "
            "leave weight_by_load out"},
        Mistake{"PoolBackupUnknown", "table_size: 65537", "backup: spare", "spare", "services.pools[0].backup",
                "backup \"spare\" of pool \"web\" is no pool; add it under services.pools"},
        Mistake{"PoolBackupItself", "table_size: 65537", "backup: web", "web\n      backends",
                "services.pools[0].backup", "backup \"web\" of pool \"web\" is the pool itself; name another one"},
        Mistake{
            "PoolBackupOfBackup", "    - name: web\n",
            "    - {name: far, backup: web}\n    - {name: near, backup: far}\n    - name: web\n", "far}",
            "services.pools[1].backup",
            "backup \"far\" of pool \"near\" has a backup of its own, which would never be used; remove one of them"},
        Mistake{"VipPortZero", "port: 80", "port: 0", "0, pool", "services.vips[0].port",
                "port 0 of VIP \"www\" is out of range; give a whole number from 1 to 65535"},
        Mistake{"VipPortTooLarge", "port: 80", "port: 65536", "65536, pool", "services.vips[0].port",
                "65536 is out of range; give a whole number from 1 to 65535"},
        Mistake{"VipTwice", kOneVip, Replaced(kTwoVips, "two, address: 203.0.113.10", "two, address: \"203.0.113.10\""),
                "\"203.0.113.10\"", "services.vips[1].address",
                "VIP \"two\" has address 203.0.113.10, protocol tcp and port 80 of VIP \"www\"; a packet can belong to "
                "one VIP only, change one of them"},
        Mistake{"VipNameTwice", kOneVip, Replaced(Replaced(kTwoVips, "port: 80", "port: 81"), "two", "www"),
                "www, address: 203.0.113.10, protocol: tcp, port: 80", "services.vips[1].name",
                "there are two VIPs with the name \"www\"; rename one of them"},
        Mistake{"VipPoolUnknown", "pool: web", "pool: wbe", "wbe", "services.vips[0].pool",
                "VIP \"www\" refers to pool \"wbe\", which does not exist; did you mean \"web\"?"},
        Mistake{"VipPoolFarOff", "pool: web", "pool: database", "database", "services.vips[0].pool",
                "VIP \"www\" refers to pool \"database\", which does not exist; add it under services.pools"},
        Mistake{"VipMulticast", "203.0.113.10", "239.1.1.1", "239.1.1.1", "services.vips[0].address",
                std::string("address 239.1.1.1 is a multicast address") + kUnicast},
        Mistake{"VipLoopback", "203.0.113.10", "127.0.0.1", "127.0.0.1, pro", "services.vips[0].address",
                std::string("address 127.0.0.1 is a loopback address") + kUnicast},
        Mistake{"VipLinkLocal", "203.0.113.10", "\"fe80::1\"", "\"fe80::1\"", "services.vips[0].address",
                std::string("address fe80::1 is a link-local address") + kUnicast},
        Mistake{"VipBroadcast", "203.0.113.10", "255.255.255.255", "255.255", "services.vips[0].address",
                std::string("address 255.255.255.255 is the broadcast address") + kUnicast},
        Mistake{"VipMapped", "203.0.113.10", "\"::ffff:203.0.113.10\"", "\"::ffff", "services.vips[0].address",
                std::string("address ::ffff:203.0.113.10 is an IPv4-mapped IPv6 address, which no packet carries") +
                    kUnicast},
        Mistake{"VipUnspecified", "203.0.113.10", "\"::\"", "\"::\"", "services.vips[0].address",
                std::string("address :: is unspecified") + kUnicast},
        Mistake{"VipIsNode", "203.0.113.10", "192.0.2.2", "192.0.2.2, pro", "services.vips[0].address",
                "VIP \"www\" has the address 192.0.2.2 of this node's port \"wan\"; give it an address that no "
                "interface has, or the node could not be reached at its own"},
        Mistake{"FamilyAndL2", "203.0.113.10", "\"2001:db8::10\"", "l2}", "services.vips[0].mode",
                "mode l2 cannot take IPv6 packets of VIP \"www\" to the IPv4 address 192.0.2.11 of backend \"web-1\"; "
                "use a pool whose backends all have IPv6 addresses, or a tunnel mode such as ipip"},
        Mistake{"Mode", "mode: l2", "mode: ipp", "ipp", "services.vips[0].mode",
                "\"ipp\" is not one of l2, ipip, gue, gue-direct, gre, nat, full-nat; did you mean ipip?"},
        Mistake{"Hash", "mode: l2", "hash: clent", "clent", "services.vips[0].hash",
                "\"clent\" is not one of tuple, client-port, client; did you mean client?"},
        Mistake{"Tracking", "mode: l2", "connection_tracking: no", "no}", "services.vips[0].connection_tracking",
                "\"no\" is not one of full, unsafe, off"},
        Mistake{"AnswerEcho", "mode: l2", "answer_echo: off", "off}", "services.vips[0].answer_echo",
                "\"off\" is neither true nor false; write true or false"},
        Mistake{"Protocol", "protocol: tcp", "protocol: sctp", "sctp", "services.vips[0].protocol",
                "\"sctp\" is not one of tcp, udp"}),
    [](const auto& test) { return std::string(test.param.name); });

const char kOnlyVip[] = "address: 203.0.113.10, protocol: tcp, port: 80, pool: web, mode: l2";
const char kPortHint[] = " is not a port; write a whole number from 1 to 65535, a range like 8000-8999, or all";

INSTANTIATE_TEST_SUITE_P(
    VipKinds, ServiceRules,
    testing::Values(
        Mistake{"AddressIsNone", "203.0.113.10", "203.0.113", "203.0.113,", "services.vips[0].address",
                "\"203.0.113\" is not an IP address or prefix; write it like 203.0.113.10, 203.0.113.0/24 or "
                "\"2001:db8::10\""},
        Mistake{"PrefixLengthTooLong", "203.0.113.10", "203.0.113.10/33", "203.0.113.10/33", "services.vips[0].address",
                "\"203.0.113.10/33\" is not an IP address or prefix; write it like 203.0.113.10, 203.0.113.0/24 or "
                "\"2001:db8::10\""},
        Mistake{"PrefixHostBits", "203.0.113.10", "203.0.113.10/24", "203.0.113.10/24", "services.vips[0].address",
                "prefix 203.0.113.10/24 has bits set beyond its length; write 203.0.113.0/24, or 203.0.113.10 for this "
                "address alone"},
        Mistake{"PrefixHostBitsV6", kOnlyVip, "address: \"2001:db8:f:8001::/49\", port: 80, pool: web, mode: ipip",
                "\"2001:db8:f:8001::/49\"", "services.vips[0].address",
                "prefix 2001:db8:f:8001::/49 has bits set beyond its length; write 2001:db8:f:8000::/49, or "
                "2001:db8:f:8001:: for this address alone"},
        Mistake{"PrefixOfEverything", "203.0.113.10", "0.0.0.0/0", "0.0.0.0/0", "services.vips[0].address",
                std::string("address 0.0.0.0 is unspecified") + kUnicast},
        Mistake{"PrefixWithLoopback", "203.0.113.10", "126.0.0.0/7", "126.0.0.0/7", "services.vips[0].address",
                "prefix 126.0.0.0/7 has addresses in common with 127.0.0.0/8, which are no host's; give a prefix of "
                "unicast addresses"},
        Mistake{"PrefixInLoopback", "203.0.113.10", "127.1.0.0/16", "127.1.0.0/16", "services.vips[0].address",
                std::string("address 127.1.0.0 is a loopback address") + kUnicast},
        Mistake{"PrefixHasNode", "203.0.113.10", "192.0.2.0/29", "192.0.2.0/29", "services.vips[0].address",
                "VIP \"www\" has the prefix 192.0.2.0/29, and with it the address 192.0.2.2 of this node's port "
                "\"wan\"; give prefixes without it, or the node could not be reached at its own"},
        Mistake{"PrefixHasBackend", "203.0.113.10", "192.0.2.8/30", "192.0.2.11, weight",
                "services.pools[0].backends[0].address",
                "backend \"web-1\" has the address 192.0.2.11, which is one of VIP \"www\"'s prefix 192.0.2.8/30; "
                "give the server's own address, or prefixes without it"},
        Mistake{"PortWord", "port: 80", "port: http", "http,", "services.vips[0].port",
                std::string("\"http\"") + kPortHint},
        Mistake{"PortHalfRange", "port: 80", "port: 80-", "80-,", "services.vips[0].port",
                std::string("\"80-\"") + kPortHint},
        Mistake{"PortRangeOfThree", "port: 80", "port: 80-90-99", "80-90-99", "services.vips[0].port",
                std::string("\"80-90-99\"") + kPortHint},
        Mistake{"PortRangeBlanks", "port: 80", "port: 80 - 90", "80 - 90", "services.vips[0].port",
                std::string("\"80 - 90\"") + kPortHint},
        Mistake{"PortRangeTooLarge", "port: 80", "port: 8000-70000", "8000-70000", "services.vips[0].port",
                std::string("\"8000-70000\"") + kPortHint},
        Mistake{"PortNegative", "port: 80", "port: -80", "-80,", "services.vips[0].port",
                "-80 is out of range; give a whole number from 1 to 65535"},
        Mistake{"PortQuoted", "port: 80", "port: \"80\"", "\"80\"", "services.vips[0].port",
                "\"80\" is text and not a whole number; write it without quotes"},
        Mistake{"PortRangeFromZero", "port: 80", "port: 0-80", "0-80", "services.vips[0].port",
                "port range 0-80 of VIP \"www\" begins at 0; begin at 1, or write all"},
        Mistake{"PortRangeBackwards", "port: 80", "port: 90-80", "90-80", "services.vips[0].port",
                "port range 90-80 of VIP \"www\" ends before it begins; swap them"},
        Mistake{"GuePortWithL2", "mode: l2", "mode: l2, gue_port: 6080", "6080}", "services.vips[0].gue_port",
                "gue_port 6080 of VIP \"www\" means nothing in mode l2; remove it, or take mode gue or gue-direct"},
        Mistake{"GuePortWithGre", "mode: l2", "gue_port: 6081, mode: gre", "6081,", "services.vips[0].gue_port",
                "gue_port 6081 of VIP \"www\" means nothing in mode gre; remove it, or take mode gue or gue-direct"},
        Mistake{"GuePortZero", "mode: l2", "gue_port: 0, mode: gue", "0, mode", "services.vips[0].gue_port",
                "gue_port 0 of VIP \"www\" is out of range; give a whole number from 1 to 65535"},
        Mistake{"TimeoutZero", "mode: l2", "timeouts: {udp_s: 0}", "0}}", "services.vips[0].timeouts.udp_s",
                "udp_s 0 of VIP \"www\" is out of range; give a whole number from 1 to 28800"},
        Mistake{"TimeoutTooLong", "mode: l2", "timeouts: {tcp_established_s: 28801}", "28801",
                "services.vips[0].timeouts.tcp_established_s",
                "tcp_established_s 28801 of VIP \"www\" is out of range; give a whole number from 1 to 28800"},
        Mistake{"TimeoutUnknown", "mode: l2", "timeouts: {upd_s: 5}", "upd_s: 5", "services.vips[0].timeouts.upd_s",
                "unknown key \"upd_s\"; did you mean udp_s?"}),
    [](const auto& test) { return std::string(test.param.name); });

// A second VIP behind the first one, which is 203.0.113.10 tcp and the ports given.
std::string WithSecondVip(const std::string& ports, const std::string& second) {
  return Replaced(kValid, "port: 80", "port: " + ports) + "    - {name: two, pool: web, " + second + "}\n";
}

TEST(ServiceRulesTest, ClaimsOfTheSamePacketsAreReported) {
  const auto expect = [](const std::string& first, const std::string& second, const std::string& at,
                         const std::string& problem) {
    const std::string text = WithSecondVip(first, "address: 203.0.113.10, port: " + second);
    EXPECT_EQ(Problems(text), PrefixAt(text, at) + "services.vips[1]." + problem +
                                  "; a packet can belong to one VIP only, change one of them");
  };
  for (const std::string same : {"80", "8000-8999", "all"}) {
    expect(same, same, "203.0.113.10, port",
           "address: VIP \"two\" has address 203.0.113.10, protocol tcp and port " + same + " of VIP \"www\"");
  }
  const auto overlap = [&](const std::string& first, const std::string& second) {
    expect(first, second, second + "}",
           "port: port range " + second + " of VIP \"two\" overlaps " + first +
               " of VIP \"www\", which has the same address and protocol");
  };
  overlap("8000-8999", "8999-9100");
  overlap("8000-8999", "7000-8000");
  overlap("8000-8999", "8100-8200");
  overlap("8000-8999", "1-65535");
}

TEST(ServiceRulesTest, ClaimsAreComparedWithAllOthers) {
  std::string text = Replaced(kValid, "port: 80", "port: 100-199");
  for (const char* ports : {"300-399", "200-299", "all", "150", "500-599"}) {
    text += std::string("    - {name: p-") + ports + ", pool: web, address: 203.0.113.10, port: " + ports + "}\n";
  }
  EXPECT_EQ(Problems(text), "");
  text += "    - {name: last, pool: web, address: 203.0.113.10, port: 399-500}\n";
  EXPECT_NE(Problems(text).find("port range 399-500 of VIP \"last\" overlaps 500-599"), std::string::npos);
}

TEST(ServiceRulesTest, PrecedenceLetsClaimsNest) {
  for (const char* second :
       {"address: 203.0.113.10, port: 8080", "address: 203.0.113.10, port: all",
        "address: 203.0.113.10, port: 9000-9999", "address: 203.0.113.10, protocol: udp, port: 8000-8999",
        "address: 203.0.113.11, port: 8000-8999", "address: 203.0.113.0/24, port: 8000-8999",
        "address: 203.0.113.8/30, port: 8500-9500"}) {
    EXPECT_EQ(Problems(WithSecondVip("8000-8999", second)), "") << second;
  }
}

TEST(ServiceRulesTest, TunnelsMixFamilies) {
  for (const char* mode : {"ipip", "gue", "gue-direct", "gre"}) {
    EXPECT_EQ(Problems(Replaced(kValid, kOnlyVip,
                                std::string("address: \"2001:db8:f::/64\", port: all, pool: web, mode: ") + mode)),
              "")
        << mode;
  }
}

TEST(ServiceRulesTest, PrefixesNextToOthersAddressesAreAccepted) {
  for (const char* prefix : {"192.0.2.8/31", "192.0.2.14/31", "192.0.2.0/31", "192.0.2.4/30"}) {
    EXPECT_EQ(Problems(Replaced(kValid, "203.0.113.10", prefix)), "") << prefix;
  }
}

TEST(ServiceRulesTest, SameAddressWithOtherPortOrProtocolIsAnotherVip) {
  const std::string line =
      "    - {name: two, address: 203.0.113.10, protocol: udp, port: 80, pool: web}\n"
      "    - {name: three, address: 203.0.113.10, protocol: tcp, port: 81, pool: web}\n";
  EXPECT_EQ(Problems(std::string(kValid) + line), "");
}

TEST(ServiceRulesTest, SeedNeverAppearsInMessages) {
  const std::string problems = Problems(Replaced(kValid, kSeed, "deadbeef" + kSeed));
  EXPECT_NE(problems, "");
  EXPECT_EQ(problems.find("deadbeef"), std::string::npos);
}

// The same rules without a file: what an RPC handler sees.
TEST(ServiceRulesTest, ProblemsNameFieldsForRpcs) {
  ServiceConfig services;
  services.pools = {{"web", 65537, {{"a", *net::IpAddress::Parse("192.0.2.1"), 2000, std::nullopt}}}};
  const auto problems = ValidateServices(services, SeedRule::kMayBeEmpty);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].field, "services.pools[0].backends[0].weight");
  const absl::Status status = ToStatus(problems);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "services.pools[0].backends[0].weight: weight 2000 of backend \"a\" is out of range; give a whole number "
            "from 0 to 1000");
  EXPECT_EQ(ValidateServices(services).size(), 2u) << "an empty seed is a problem where it is required";
  EXPECT_TRUE(ToStatus({}).ok());
}

TEST(ServiceRulesTest, NumbersOfObjectsAreLimited) {
  ServiceConfig services;
  services.vips.resize(16385);
  services.pools.resize(2);
  services.pools[1].backends.resize(32769);
  const auto problems = ValidateServices(services, SeedRule::kMayBeEmpty);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].field, "services.pools");
  EXPECT_NE(problems[0].message.find("32769 backends"), std::string::npos);
  EXPECT_EQ(problems[1].field, "services.vips");
  EXPECT_EQ(problems[1].message, "there are 16385 VIPs; at most 16384 are possible");
}

TEST(ServiceRulesTest, SmallTableIsAdvisedAgainst) {
  ServiceConfig services;
  services.pools = {{"small", 199, std::vector<BackendConfig>(2)}, {"good", 211, std::vector<BackendConfig>(2)}};
  const auto advice = AdviseServices(services);
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_EQ(advice[0].field, "services.pools[0].table_size");
  EXPECT_NE(advice[0].message.find("better take 211"), std::string::npos);
}

// The pool's policy against what a VIP says.
std::string PolicyProblems(const std::string& policy, const std::string& vip) {
  const std::string text = Replaced(kValid, "      table_size: 65537\n", "      policy: " + policy + "\n");
  const std::string problems = Problems(Replaced(text, "mode: l2}", "mode: l2, " + vip + "}"));
  const size_t at = problems.find("services.");
  return at == std::string::npos ? problems : problems.substr(at);
}

TEST(PolicyRules, WhatNothingRemembersGoesByTheHash) {
  EXPECT_EQ(
      PolicyProblems("power-of-two", "consistency: hash"),
      "services.vips[0].pool: policy power-of-two of pool \"web\" cannot be with VIP \"www\", whose consistency is "
      "hash: nothing remembers where a connection went, so that its next packet would go elsewhere; take "
      "consistency cookie, track or stateful, or policy maglev");
  EXPECT_EQ(PolicyProblems("weighted-round-robin", "hash: client"),
            "services.vips[0].hash: hash client of VIP \"www\" cannot be with policy weighted-round-robin of pool "
            "\"web\", by which a client's connections go to different backends; remove it, or take policy maglev");
  EXPECT_EQ(PolicyProblems("maglev", "consistency: hash, hash: client"), "");
  EXPECT_EQ(PolicyProblems("maglev", "consistency: track_unsafe, hash: client"), "");
  EXPECT_EQ(
      PolicyProblems("power-of-two", "consistency: track_unsafe"),
      "services.vips[0].pool: policy power-of-two of pool \"web\" cannot be with VIP \"www\", which tracks unsafe "
      "connections only: the others are where the hash says; take policy maglev, or connection_tracking full");
  for (const char* consistency : {"track", "stateful"}) {
    EXPECT_EQ(PolicyProblems("least-connections", std::string("consistency: ") + consistency), "");
  }
}

TEST(SecondChanceRules, NeedsGueTcpAndTheTuple) {
  const std::string good = Replaced(kValid, "mode: l2", "mode: gue, second_chance: true");
  EXPECT_EQ(Problems(good), "");
  EXPECT_TRUE(LoadText(good, "t.yaml")->services.vips[0].second_chance);
  EXPECT_THAT(
      Problems(Replaced(good, "mode: gue,", "mode: ipip,")),
      HasSubstr("services.vips[0].second_chance: second_chance of VIP \"www\" needs mode gue, in whose header the "
                "second backend is named, not ipip; remove it, or take mode gue"));
  EXPECT_THAT(Problems(Replaced(good, "protocol: tcp", "protocol: udp")),
              HasSubstr("second_chance of VIP \"www\" needs protocol tcp, by whose sockets a backend knows its "
                        "connections; remove it"));
  EXPECT_THAT(Problems(Replaced(good, "mode: gue,", "mode: gue, hash: client,")),
              HasSubstr("second_chance of VIP \"www\" needs hash tuple, not client; remove one of them"));
}

}  // namespace
}  // namespace sluice::config
