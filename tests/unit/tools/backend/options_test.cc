#include "tools/backend/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/support/temporary_directory.h"
#include "tools/backend/check.h"
#include "tools/backend/command_line.h"

namespace sluice::backend {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(OptionsFileTest, AllFields) {
  Options options;
  const absl::Status status = ReadOptionsText(R"(
interfaces: [eth0, eth1]
addresses: [192.0.2.11, "2001:db8::11"]
directors: [192.0.2.0/29]
vips: [203.0.113.10, 2001:db8:f::/64]
tunnels: [gue-direct, gre]
gue_port: 7000
clamp_mss: false
mtu: 9000
family_change: redirect
)",
                                              "backend.yaml", &options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(options.interfaces, ElementsAre("eth0", "eth1"));
  EXPECT_EQ(options.addresses.at(1).ToString(), "2001:db8::11");
  EXPECT_EQ(options.directors.at(0).length, 29);
  EXPECT_EQ(options.vips.at(0).length, 32);
  EXPECT_THAT(options.tunnels, ElementsAre(kTunnelGueDirect, kTunnelGre));
  EXPECT_EQ(options.gue_port, 7000);
  EXPECT_FALSE(options.clamp_mss);
  EXPECT_EQ(options.mtu, 9000u);
  EXPECT_EQ(options.family_change, FamilyChangeOption::kRedirect);
}

TEST(OptionsFileTest, WhatIsNotThereStays) {
  Options options;
  ASSERT_TRUE(ReadOptionsText("interfaces: [eth0]\n", "f", &options).ok());
  EXPECT_EQ(options.gue_port, 6080);
  EXPECT_EQ(options.tunnels.size(), 4u);
  EXPECT_TRUE(options.clamp_mss);
}

TEST(OptionsFileTest, ProblemsAreNamedWithTheirLines) {
  struct Case {
    const char* text;
    const char* message;
  };
  for (const Case& c :
       {Case{"interface: [eth0]", "f:1:1: interface: "},
        Case{"gue_port: 0", "f:1:11: gue_port: 0 is out of range; give a whole number from 1 to 65535"},
        Case{"mtu: 100", "f:1:6: mtu: 100 is out of range"}, Case{"tunnels: [vxlan]", "f:1:11: tunnels[0]: \"vxlan\""},
        Case{"vips: [203.0.113.300]", "f:1:8: vips[0]: "}, Case{"clamp_mss: maybe", "f:1:12: clamp_mss: "}}) {
    Options options;
    EXPECT_THAT(Message(ReadOptionsText(c.text, "f", &options)), HasSubstr(c.message));
  }
  Options options;
  EXPECT_THAT(Message(ReadOptionsFile("/nowhere/backend.yaml", &options)), HasSubstr("\"/nowhere/backend.yaml\""));
}

class CookieOptionsTest : public testing::Test {
 protected:
  void SetUp() override { std::ofstream(path_) << "000102030405060708090a0B0C0D0E0F\n"; }
  // The section with this VIP.
  std::string Text(const std::string& vip) const {
    return "cookies:\n  keys: [{number: 1, file: " + path_ + "}]\n  vips: [{vip: 203.0.113.10, key: 1, " + vip + "}]\n";
  }
  const TemporaryDirectory directory_;
  const std::string path_ = directory_.path() / "cookie.key";
};

TEST_F(CookieOptionsTest, AllFields) {
  Options options;
  const absl::Status status = ReadOptionsText(
      Text("port: 443, backend: 300, tier: 2, tier_bits: 2, backend_bits: 9, check_bits: 1"), "f", &options);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(options.cookies.keys.size(), 1u);
  EXPECT_EQ(options.cookies.keys[0].secret, (lb::AesBlock{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
  ASSERT_EQ(options.cookies.vips.size(), 1u);
  // 1 + 2 + 9 + 1 = 13 bits and two hours: five bits of the clock give way.
  const lb::CookieLayout expected = {.tier_bits = 2, .backend_bits = 9, .check_bits = 1, .clock_bits = 5};
  EXPECT_EQ(options.cookies.vips[0].layout, expected);
  const CookieRule rule = RuleOf(options.cookies.vips[0]);
  EXPECT_EQ(rule.plain, (2u << 9 | 300u) << 1);
  EXPECT_EQ(rule.bits, 13);
  EXPECT_EQ(rule.permuted_bits, 12);
}

TEST_F(CookieOptionsTest, StatefulNeedsNeitherIdNorKey) {
  const auto text = [](const std::string& vip) { return "cookies: {vips: [{vip: 203.0.113.10, " + vip + "}]}\n"; };
  Options options;
  const absl::Status status = ReadOptionsText(text("stateful: true"), "f", &options);
  ASSERT_TRUE(status.ok()) << status;
  const CookieRule rule = RuleOf(options.cookies.vips.at(0));
  EXPECT_EQ(rule.by_director, 1);
  EXPECT_EQ(rule.bits, 8);
  EXPECT_EQ(rule.clock_bits, 0);
  Options long_idle;
  ASSERT_TRUE(ReadOptionsText(text("stateful: true, idle_s: 10000"), "f", &long_idle).ok());
  EXPECT_EQ(RuleOf(long_idle.cookies.vips.at(0)).clock_bits, 1);
  for (const char* more : {"backend: 1", "key: 1", "check_bits: 2", "tier: 1", "clock_bits: 3"}) {
    Options wrong;
    EXPECT_THAT(Message(ReadOptionsText(text(std::string("stateful: true, ") + more), "f", &wrong)),
                HasSubstr("the director chooses the cookies of this VIP; give vip, port, and idle_s only"));
  }
  Options neither;
  EXPECT_THAT(Message(ReadOptionsText(text("port: 80"), "f", &neither)), HasSubstr("backend is missing"));
}

TEST_F(CookieOptionsTest, WhatIsWrongIsNamed) {
  struct Case {
    const char* vip;
    const char* message;
  };
  for (const Case& c :
       {Case{"backend: 256", "cookies.vips[0]: backend: 256 does not fit 8 bits"},
        Case{"backend: 1, tier: 1", "tier: 1 does not fit 0 bits"}, Case{"backend: 1, key: 2", "twice"},
        Case{"backend: 1, clock_bits: 0", "2^(31-9+0) = 2^22 ms = 4194.3 s, less than the 7200 s"},
        Case{"backend: 1, backend_bits: 16, check_bits: 6", "take "},
        Case{"backend: 1, key_bits: 4", "key_bits: 4 is out of range; give a whole number from 1 to 3"}}) {
    Options options;
    EXPECT_THAT(Message(ReadOptionsText(Text(c.vip), "f", &options)), HasSubstr(c.message));
  }
  Options options;
  std::string text = Text("backend: 1");
  text.replace(text.find("number: 1"), 9, "number: 0");
  EXPECT_THAT(Message(ReadOptionsText(text, "f", &options)),
              HasSubstr("203.0.113.10 uses the key 1, which is not among"));
  std::ofstream(path_) << "0001";
  EXPECT_THAT(Message(ReadOptionsText(Text("backend: 1"), "f", &options)), HasSubstr("32 hexadecimal digits"));
}

absl::StatusOr<Options> FromArguments(const std::vector<std::string>& arguments) {
  const absl::StatusOr<CommandLine> line = ParseCommandLine(arguments);
  if (!line.ok()) return line.status();
  return ReadOptions(*line);
}

TEST(CommandLineTest, OptionsInAllSpellings) {
  const auto options = FromArguments({"run", "--interface", "eth0,eth1", "--interface=eth2", "--vip", "203.0.113.10",
                                      "--tunnel=gre", "--mtu", "1400", "--no-mss-clamp"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_THAT(options->interfaces, ElementsAre("eth0", "eth1", "eth2"));
  EXPECT_THAT(options->tunnels, ElementsAre(kTunnelGre));
  EXPECT_EQ(options->mtu, 1400u);
  EXPECT_FALSE(options->clamp_mss);
}

TEST(CommandLineTest, Commands) {
  EXPECT_EQ(ParseCommandLine({"status", "-o", "json"})->command, Command::kStatus);
  EXPECT_TRUE(ParseCommandLine({"status", "-o", "json"})->json);
  EXPECT_EQ(ParseCommandLine({"--check"})->command, Command::kCheck);
  EXPECT_EQ(ParseCommandLine({"run", "--help"})->command, Command::kHelp);
}

TEST(CommandLineTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(Message(FromArguments({}).status()), HasSubstr("no command; there are run"));
  EXPECT_THAT(Message(FromArguments({"start"}).status()), HasSubstr("\"start\" is no command"));
  EXPECT_THAT(Message(FromArguments({"run", "attach"}).status()), HasSubstr("a command already"));
  EXPECT_THAT(Message(FromArguments({"run", "--interfac", "eth0"}).status()), HasSubstr("did you mean --interface?"));
  EXPECT_THAT(Message(FromArguments({"run", "--vip"}).status()), HasSubstr("--vip needs a value"));
  EXPECT_THAT(Message(FromArguments({"run", "--vip", "1.2.3"}).status()), HasSubstr("--vip: \"1.2.3\" is not an IP"));
  EXPECT_THAT(Message(FromArguments({"run", "--tunnel", "vxlan"}).status()), HasSubstr("there are ipip, gue"));
  EXPECT_THAT(Message(FromArguments({"run", "--mtu", "1e3"}).status()), HasSubstr("from 576 to 65535"));
  EXPECT_THAT(Message(FromArguments({"run", "--family-change", "x"}).status()), HasSubstr("auto, flag or redirect"));
}

TEST(ValidateOptionsTest, FieldsTogether) {
  EXPECT_THAT(Message(ValidateOptions({})), HasSubstr("interfaces: none"));
  EXPECT_TRUE(ValidateOptions({.interfaces = {"eth0"}}).ok());
  EXPECT_THAT(Message(ValidateOptions({.interfaces = {"eth0", "eth0"}})), HasSubstr("\"eth0\" is there twice"));
  EXPECT_THAT(Message(ValidateOptions({.interfaces = {"../../etc"}})), HasSubstr("cannot be the name"));
  EXPECT_THAT(Message(ValidateOptions({.interfaces = {"eth0"}, .tunnels = {}})), HasSubstr("tunnels: none"));
}

TEST(CheckTest, TheLargerSysctlHolds) {
  EXPECT_EQ(EffectiveSysctl(0, 1), 1);
  EXPECT_EQ(EffectiveSysctl(2, 1), 2);
}

TEST(CheckTest, FindingsAndExit) {
  std::ostringstream out;
  EXPECT_TRUE(PrintText({{Severity::kWarning, "a is off", "switch it on"}}, out));
  EXPECT_EQ(out.str(), "warning  a is off\n           -> switch it on\n");
  std::ostringstream json;
  EXPECT_FALSE(PrintJson({{Severity::kError, "\"b\" is missing", ""}}, json));
  EXPECT_EQ(json.str(), "{\"findings\": [{\"severity\": \"error\", \"what\": \"\\\"b\\\" is missing\"}]}\n");
}

}  // namespace
}  // namespace sluice::backend
