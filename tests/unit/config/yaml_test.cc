#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"
#include "config/problem_log.h"
#include "config/yaml_document.h"
#include "config/yaml_reader.h"
#include "tests/unit/config/config_text.h"

// What does not depend on the schema: the document, types, keys, aliases, hostile bytes.
namespace sluice::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The reader's mistakes in the one place that each is about.
class Reading : public testing::TestWithParam<Mistake> {};
TEST_P(Reading, MistakeIsReported) { ExpectReported(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    All, Reading,
    testing::Values(
        Mistake{"UnknownKey", "udp_s: 60", "upd_s: 60", "upd_s", "node.timeouts.upd_s",
                "unknown key \"upd_s\"; did you mean udp_s?"},
        Mistake{"UnknownKeyFarOff", "udp_s: 60", "quic: 60", "quic", "node.timeouts.quic",
                "unknown key \"quic\"; known here: tcp_syn_s, tcp_established_s, tcp_closing_s, tcp_reset_s, udp_s"},
        Mistake{"UnknownSection", "  punt:", "  pnut:", "pnut", "node.pnut",
                "unknown key \"pnut\"; did you mean punt?"},
        Mistake{
            "UnprintableKey", "udp_s: 60", "\"a\\eb\": 60", "\"a\\eb", "node.timeouts",
            "unknown key \"a\\x1b\\x62\"; known here: tcp_syn_s, tcp_established_s, tcp_closing_s, tcp_reset_s, udp_s"},
        Mistake{"MergeKey", "udp_s: 60", "<<: {udp_s: 60}", "<<", "node.timeouts",
                "unknown key \"<<\"; YAML's merge keys are not supported, write the values out"},
        Mistake{"KeyTwice", kWorkers, kWorkers + "\n  workers: {count: 2}", "workers: {count: 2}", "node",
                "key \"workers\" is given twice, first in line 11; keep one of them"},
        Mistake{"KeyIsAList", kWorkers, "? [workers]\n  : 1", "[workers]", "node",
                "a list is used as a key; keys are plain words"},
        Mistake{"Missing", "port: 80, ", "", "{name: www", "services.vips[0].port", "is missing; add \"port: 80\""},
        Mistake{"MisspeltIsNotMissingToo", "port: 80, ", "prot: 80, ", "prot: 80", "services.vips[0].prot",
                "unknown key \"prot\"; did you mean port?"},
        Mistake{"ScalarForMap", kWorkers, "workers: 2", "2\n  memory", "node.workers",
                "\"2\" stands where a map (\"key: value\") belongs"},
        Mistake{"ListForMap", kWorkers, "workers: [2]", "[2]", "node.workers",
                "a list stands where a map (\"key: value\") belongs"},
        Mistake{"MapForScalar", "udp_s: 60", "udp_s: {s: 60}", "{s", "node.timeouts.udp_s",
                "a map stands where a whole number belongs"},
        Mistake{"NothingForScalar", "mtu: 1500", "mtu:", "mtu:", "node.ports[0].mtu",
                "nothing stands where a whole number belongs; write it, or remove the key"},
        Mistake{"ScalarForList", "gateways: [192.0.2.1]", "gateways: 192.0.2.1", "192.0.2.1\n",
                "node.ports[0].gateways",
                "\"192.0.2.1\" stands where a list belongs; write \"[...]\" or a line with \"- \" for each item"},
        Mistake{"Number", "mtu: 1500", "mtu: jumbo", "jumbo", "node.ports[0].mtu",
                "\"jumbo\" is not a whole number; give one from 576 to 9216"},
        Mistake{"NumberHex", "mtu: 1500", "mtu: 0x5dc", "0x5dc", "node.ports[0].mtu",
                "\"0x5dc\" is not a whole number; give one from 576 to 9216"},
        Mistake{"NumberHuge", "weight: 200", "weight: 99999999999999999999", "999",
                "services.pools[0].backends[1].weight",
                "99999999999999999999 is out of range; give a whole number from 0 to 1000"},
        Mistake{"NumberNegative", "weight: 200", "weight: -5", "-5", "services.pools[0].backends[1].weight",
                "-5 is out of range; give a whole number from 0 to 1000"},
        Mistake{"NumberQuoted", "port: 80", "port: \"80\"", "\"80\"", "services.vips[0].port",
                "\"80\" is text and not a whole number; write it without quotes"},
        Mistake{"Bool", "weight: 200", "drain: off", "off", "services.pools[0].backends[1].drain",
                "\"off\" is neither true nor false; write true or false"},
        Mistake{"Tag", "port: 80", "port: !!int 80", "!!int", "services.vips[0].port",
                "has a YAML tag (a word that begins with \"!\"); write the value without it"},
        Mistake{"Mac", "mtu: 1500", "gateway_mac: 02-00-00-00-00-01", "02-", "node.ports[0].gateway_mac",
                "\"02-00-00-00-00-01\" is not a MAC address; write it like \"02:00:00:00:00:01\""},
        Mistake{"AddressWithPrefix", "192.0.2.12", "192.0.2.12/32", "192.0.2.12/32",
                "services.pools[0].backends[1].address",
                "\"192.0.2.12/32\" is not an IP address; leave out the prefix length"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(DocumentTest, SyntaxErrorsHaveTheirPlace) {
  EXPECT_THAT(Problems("node: {name: x\n"), StartsWith("t.yaml:2:1: not valid YAML: end of map flow not found; "));
  EXPECT_THAT(Problems("node:\n\tname: x\n"), AllOf(StartsWith("t.yaml:2:"), HasSubstr("spaces instead of tabs")));
  EXPECT_THAT(Problems("a: 1\nb: c: d\n"), StartsWith("t.yaml:2:5: not valid YAML: illegal map value; "));
}

TEST(DocumentTest, OnlyOneDocumentIsTaken) {
  EXPECT_EQ(Problems(std::string(kValid) + "---\nnode: {}\n"),
            "t.yaml:29:1: a second YAML document begins here; keep one document in a file");
  EXPECT_EQ(Problems("---\n" + std::string(kValid) + "...\n"), "");
}

TEST(DocumentTest, EmptyOneLacksBothParts) {
  for (const char* text : {"", "\n\n", "# nothing\n", "---\n", "null\n"}) {
    EXPECT_EQ(Lines(Problems(text)).size(), 2u) << text;
    EXPECT_THAT(Problems(text), AllOf(HasSubstr("node: is missing"), HasSubstr("services: is missing")));
  }
}

TEST(DocumentTest, RootMustBeAMap) {
  EXPECT_EQ(Problems("- node\n"), "t.yaml:1:1: a list stands where a map (\"key: value\") belongs");
}

TEST(DocumentTest, BytesThatAreNoTextAreRefusedWithTheirPlace) {
  EXPECT_EQ(Problems("a: \xff\n"), "t.yaml:1:4: the byte 0xff does not belong to UTF-8 text; save the file as UTF-8");
  // Overlong, surrogate, beyond U+10FFFF, cut short.
  for (const char* bytes : {"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x9f\x98", "\x80"}) {
    EXPECT_THAT(Problems("node:\n  name: " + std::string(bytes)), StartsWith("t.yaml:2:9: the byte 0x"));
  }
  // yaml-cpp would take 0x04 for the end of the file and ignore the rest.
  EXPECT_EQ(Problems(std::string(kValid) + "\x04"),
            "t.yaml:28:1: the control character 0x04 is not allowed; remove it");
  EXPECT_EQ(Problems(std::string("a\0b", 3)), "t.yaml:1:2: the control character 0x00 is not allowed; remove it");
  EXPECT_EQ(Problems("# \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 is fine in a comment\n" + std::string(kValid)), "");
  EXPECT_EQ(Problems("\xef\xbb\xbf" + std::string(kValid)), "") << "a byte order mark";
  EXPECT_EQ(Problems(Replaced(kValid, "\n", "\r\n")), "");
}

TEST(DocumentTest, AliasesStandForWhatTheyReferTo) {
  const std::string text =
      Replaced(Replaced(kValid, "name: edge-1", "name: &name edge-1"), "name: web-1", "name: *name");
  const auto config = LoadText(text, "t.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->services.pools[0].backends[0].name, "edge-1");
}

TEST(DocumentTest, AliasesDoNotBlowUp) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string previous = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + previous;
    for (int j = 1; j < 10; ++j) text += ", " + previous;
    text += "]\n";
  }
  EXPECT_THAT(Problems(text), HasSubstr("the document has more than 1000000 values, counting aliases in full"));
}

TEST(DocumentTest, AnAliasCannotContainItself) {
  EXPECT_THAT(Problems("services: &s\n  pools: [*s]\n"),
              StartsWith("t.yaml:2:11: not valid YAML: the alias stands inside of what it refers to"));
  EXPECT_THAT(Problems("a: *b\n"), StartsWith("t.yaml:1:4: not valid YAML: "));
}

TEST(DocumentTest, DeepNestingIsRefused) {
  for (const char* open : {"[", "{a: ", "- ", "? "}) {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += open;
    EXPECT_THAT(Problems(text), HasSubstr("nested too deeply")) << open;
  }
}

TEST(DocumentTest, LongListsAreNotRead) {
  std::string text = "services:\n  vips:\n";
  for (int i = 0; i < 32769; ++i) text += "    - {}\n";
  EXPECT_EQ(LoadServicesText(text, "t.yaml").status().message(),
            "t.yaml:3:5: services.vips: the list has 32769 items; at most 32768 are possible");
}

TEST(DocumentTest, ProblemsBeyondAThousandAreCounted) {
  std::string text = std::string(kValid);
  for (int i = 0; i < 1500; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const auto lines = Lines(Problems(text));
  ASSERT_EQ(lines.size(), 1001u);
  EXPECT_EQ(lines.back(), "t.yaml: 500 more problems are not shown");
}

// Reads a document by `read(MapReader&)` and gives what was wrong with it.
std::string ReadBy(std::string_view text, const std::function<void(MapReader&)>& read) {
  YamlDocument document;
  EXPECT_FALSE(document.Parse(text).has_value());
  ProblemLog log("t.yaml");
  YamlValue(&document.root(), "", document.root().position, &log).Map(read);
  return std::string(log.ToStatus().message());
}

TEST(ReaderTest, ValuesSayWhereTheyStand) {
  std::map<std::string, Position> positions;
  const auto note = [&](const YamlValue& value, int*) { positions[value.path()] = value.position(); };
  int unused = 0;
  EXPECT_EQ(ReadBy("a: 1\n# comment\nb:  [2,\n  3]\nc:\n",
                   [&](MapReader& map) {
                     map.Optional("a", &unused, note);
                     std::vector<int> list;
                     map.Optional("b", &list, ListOf(note));
                     map.Optional("c", &unused, note);
                     map.Optional("d", &unused, note);
                   }),
            "");
  EXPECT_EQ(positions,
            (std::map<std::string, Position>{{"a", {1, 4}}, {"b[0]", {3, 6}}, {"b[1]", {4, 3}}, {"c", {5, 1}}}))
      << "nothing stands where its key stands";
}

TEST(ReaderTest, OthersAreTheKeysThatNobodyNamedInTheOrderOfTheFile) {
  std::vector<std::string> others;
  int known = 0;
  const std::string problems = ReadBy("z: 1\nknown: 5\nignored: 6\na: 2\nz: 3\nm: wrong\n", [&](MapReader& map) {
    map.Optional("known", &known, Number({0, 9}));
    map.Ignore("ignored");
    map.Others([&](const std::string& key, const YamlValue& value) {
      int number = 0;
      Number({0, 9})(value, &number);
      others.push_back(key + "=" + std::to_string(number) + " " + value.path());
    });
  });
  EXPECT_EQ(known, 5);
  EXPECT_EQ(others, (std::vector<std::string>{"z=1 z", "a=2 a", "m=0 m"}));
  EXPECT_EQ(problems,
            "t.yaml:5:1: key \"z\" is given twice, first in line 1; keep one of them\n"
            "t.yaml:6:4: m: \"wrong\" is not a whole number; give one from 0 to 9");
}

TEST(ClosestWordTest, FindsTypingMistakesOnly) {
  const std::vector<std::string_view> known = {"name", "weight", "address"};
  EXPECT_EQ(ClosestWord("adress", known), "address");
  EXPECT_EQ(ClosestWord("wieght", known), "weight");
  EXPECT_EQ(ClosestWord("nam", known), "name");
  EXPECT_EQ(ClosestWord("colour", known), "");
  EXPECT_EQ(ClosestWord(std::string(100000, 'a'), known), "");
  EXPECT_EQ(ClosestWord("name", {}), "");
}

TEST(QuoteTest, IsOnePrintableLine) {
  EXPECT_EQ(Quote("a\n\x1b[31m\""), "\"a\\n\\x1b[31m\\\"\"");
  EXPECT_EQ(Quote(std::string(100, 'a')), "\"" + std::string(64, 'a') + "...\"");
}

TEST(PathTest, GoesThereAndBack) {
  const std::string path = KeyPath(IndexPath(KeyPath("services", "pools"), 3), "name");
  EXPECT_EQ(path, "services.pools[3].name");
  EXPECT_EQ(ParentPath(path), "services.pools[3]");
  EXPECT_EQ(ParentPath("services.pools[3]"), "services.pools");
  EXPECT_EQ(ParentPath("services"), "");
}

}  // namespace
}  // namespace sluice::config
