#ifndef SLUICE_TESTS_UNIT_CONFIG_CONFIG_TEXT_H_
#define SLUICE_TESTS_UNIT_CONFIG_CONFIG_TEXT_H_

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.h"

// A valid configuration that tests break in one place, and what they need to look at the answer.
namespace sluice::config {

inline constexpr std::string_view kValid = R"(node:
  name: edge-1
  ports:
    - name: wan
      devices: ["net_af_packet0,iface=eth0"]
      addresses: [192.0.2.2/24, "2001:db8::2/64"]
      gateways: [192.0.2.1]
      mtu: 1500
      rx_descriptors: 512
      exception: {interface: sluice-wan}
  workers: {count: 1, idle: adaptive}
  memory: {mbufs: 8192}
  tables: {connections_v4: 262144}
  timeouts: {udp_s: 60}
  punt: {rate_limit_pps: 10000}
  api: {listen: "unix:/run/sluice/sluiced.sock"}
  metrics: {listen: "127.0.0.1:9105"}
services:
  seed: 000102030405060708090a0b0c0d0e0f
  pools:
    - name: web
      table_size: 65537
      backends:
        - {name: web-1, address: 192.0.2.11, weight: 100}
        - {name: web-2, address: 192.0.2.12, weight: 200}
  vips:
    - {name: www, address: 203.0.113.10, protocol: tcp, port: 80, pool: web, mode: l2}
)";

// `text` with the first `from`, which must be there, replaced by `to`.
inline std::string Replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result(text);
  const size_t at = result.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) result.replace(at, from.size(), to);
  return result;
}

// "t.yaml:LINE:COLUMN: " of the first `marker` in the text.
inline std::string PrefixAt(const std::string& text, std::string_view marker) {
  const size_t at = text.find(marker);
  EXPECT_NE(at, std::string::npos) << marker;
  int line = 1, column = 1;
  for (size_t i = 0; i < at && i < text.size(); ++i) {
    ++column;
    if (text[i] == '\n') ++line, column = 1;
  }
  return "t.yaml:" + std::to_string(line) + ":" + std::to_string(column) + ": ";
}

// The problems that loading reports, one a line; empty when the text is accepted.
inline std::string Problems(const std::string& text) {
  const auto config = LoadText(text, "t.yaml");
  if (config.ok()) return "";
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(config.status().message());
}

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A file of config/examples.
inline std::string ExamplePath(const std::string& name) {
  return std::string(SLUICE_SOURCE_DIR) + "/config/examples/" + name;
}

inline std::string ReadExample(const std::string& name) {
  std::ifstream file(ExamplePath(name));
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

inline const std::vector<std::string>& ExampleNames() {
  static const std::vector<std::string> names = {"one-arm.yaml", "two-arm.yaml", "ipip.yaml",
                                                 "gue.yaml",     "nat.yaml",     "real-nic.yaml"};
  return names;
}

// A line of kValid.
inline const std::string kWorkers = "workers: {count: 1, idle: adaptive}";

// One mistake in kValid, and the one line that must come of it.
struct Mistake {
  const char* name;
  std::string from, to;
  std::string at;     // where the problem must be reported: at the first such text
  std::string field;  // and for which field
  std::string message;
};

inline void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }

inline void ExpectReported(const Mistake& mistake) {
  const std::string text = Replaced(kValid, mistake.from, mistake.to);
  EXPECT_EQ(Problems(text), PrefixAt(text, mistake.at) + mistake.field + ": " + mistake.message);
}

}  // namespace sluice::config

#endif  // SLUICE_TESTS_UNIT_CONFIG_CONFIG_TEXT_H_
