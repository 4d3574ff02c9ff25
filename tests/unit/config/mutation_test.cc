#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>

#include "config/dump.h"
#include "tests/unit/config/config_text.h"

namespace sluice::config {
namespace {

// Changes `text` at random in the ways that people, editors and broken disks do.
void Mutate(std::mt19937* random, std::string* text) {
  const auto below = [&](size_t n) { return static_cast<size_t>((*random)() % n); };
  static const std::vector<std::string> kPieces = {
      ":",  "- ",  "[",          "]",    "{",    "}",    "\"", "'",  "&a ", "*a", "!!str ",
      "#",  "|\n", ">\n",        "? ",   "\n",   "\t",   " ",  ", ", "~",   "<<", "---\n",
      "-1", "0",   "4294967296", "true", "\xff", "\x04", "%",  "@",  "/",   "::", "name: x"};
  if (text->empty()) *text = "a";
  const size_t at = below(text->size());
  switch (below(6)) {
    case 0:
      (*text)[at] = static_cast<char>(below(256));
      break;
    case 1:
      text->erase(at, 1 + below(20));
      break;
    case 2:
      text->insert(at, kPieces[below(kPieces.size())]);
      break;
    case 3:  // a part again somewhere else
      text->insert(below(text->size()), text->substr(at, 1 + below(60)));
      break;
    case 4:  // a line is indented differently
      if (const size_t line = text->find('\n', at); line != std::string::npos)
        text->insert(line + 1, 1 + below(3), ' ');
      break;
    default:
      if (below(20) == 0) text->resize(at);
  }
}

// Every text is either taken, and then comes back from a dump, or refused with lines that begin with a position.
void ExpectSane(const std::string& text) {
  const auto config = LoadText(text, "t.yaml");
  if (config.ok()) {
    const auto again = LoadServicesText(DumpServices(config->services), "dump.yaml");
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_TRUE(*again == config->services);
    return;
  }
  ASSERT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  const auto lines = Lines(std::string(config.status().message()));
  ASSERT_FALSE(lines.empty());
  for (const std::string& line : lines) {
    int line_number = 0, column = 0, length = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "t.yaml:%d:%d: %n", &line_number, &column, &length), 2) << line;
    ASSERT_GT(length, 0) << line;
    ASSERT_GE(line_number, 1);
    ASSERT_GE(column, 1);
    for (const char c : line) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << line;
  }
}

class MutationTest : public testing::TestWithParam<std::string> {};

TEST_P(MutationTest, BrokenFilesAreRefusedInOrder) {
  const std::string original = ReadExample(GetParam());
  size_t accepted = 0;
  constexpr uint32_t kRounds = 400;
  for (uint32_t seed = 1; seed <= kRounds; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::string text = original;
    const uint32_t changes = 1 + static_cast<uint32_t>(random() % 8);
    for (uint32_t i = 0; i < changes; ++i) Mutate(&random, &text);
    ExpectSane(text);
    if (HasFatalFailure()) FAIL() << text;
    accepted += LoadText(text, "t.yaml").ok() ? 1 : 0;
  }
  // Both ways were gone.
  EXPECT_GT(accepted, 0u);
  EXPECT_LT(accepted, kRounds);
}

INSTANTIATE_TEST_SUITE_P(Examples, MutationTest, testing::ValuesIn(ExampleNames()), [](const auto& test) {
  std::string name = test.param.substr(0, test.param.find('.'));
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  return name;
});

}  // namespace
}  // namespace sluice::config
