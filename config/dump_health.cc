#include "config/dump_health.h"

#include <string_view>

#include "config/text.h"

namespace sluice::config {
namespace {

// A double-quoted scalar of YAML.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string DumpHealthCheck(const HealthCheckConfig& check) {
  const HealthCheckConfig usual;
  std::string out = Cat("{type: ", CheckTypeName(check.type));
  const auto text = [&](std::string_view key, const std::string& value, const std::string& other) {
    if (value != other) out += Cat(", ", key, ": ", Quoted(value));
  };
  const auto flag = [&](std::string_view key, bool value) {
    if (value) out += Cat(", ", key, ": true");
  };
  const auto list = [&](std::string_view key, const auto& items, const auto& text_of) {
    if (items.empty()) return;
    out += Cat(", ", key, ": [");
    for (size_t i = 0; i < items.size(); ++i) out += (i == 0 ? "" : ", ") + Quoted(text_of(items[i]));
    out += ']';
  };
  if (check.port) out += Cat(", port: ", *check.port);
  text("vip", check.vip, "");
  flag("direct", check.direct);
  out += Cat(", interval_ms: ", check.interval_ms);
  if (check.fast_interval_ms) out += Cat(", fast_interval_ms: ", *check.fast_interval_ms);
  out += Cat(", timeout_ms: ", check.timeout_ms, ", rise: ", check.rise, ", fall: ", check.fall);
  text("method", check.method, usual.method);
  text("path", check.path, usual.path);
  text("host", check.host, "");
  list("headers", check.headers, [](const std::string& header) { return header; });
  list("status", check.statuses, StatusRangeText);
  text("body", check.body, "");
  flag("http2", check.http2);
  flag("tls", check.tls);
  text("server_name", check.server_name, "");
  text("ca_file", check.ca_file, "");
  text("service", check.service, "");
  text("send", check.send, "");
  text("expect", check.expect, "");
  text("command", check.command, "");
  return out + "}";
}

}  // namespace sluice::config
