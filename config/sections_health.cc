#include <string>

#include "config/limits.h"
#include "config/sections.h"
#include "config/text.h"

namespace sluice::config {
namespace {

void ReadType(const YamlValue& value, CheckType* out) {
  std::vector<std::pair<std::string_view, CheckType>> words;
  for (const CheckType type : kCheckTypes) words.emplace_back(CheckTypeName(type), type);
  value.Word(words, out);
}

void ReadStatus(const YamlValue& value, StatusRange* out) {
  const std::string* text = value.Scalar("a status code of HTTP or a range of them");
  if (text == nullptr) return;
  const auto range = ParseStatusRange(*text);
  if (range) {
    *out = *range;
  } else {
    value.Fail(Cat(Quote(*text), " is no status code; write a number from 100 to 599, or a range like 200-299"));
  }
}

}  // namespace

void ReadHealthCheck(const YamlValue& value, HealthCheckConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("type", "http", &out->type, ReadType);
    map.Optional("port", &out->port, Set(Number(limits::kL4Port)));
    map.Optional("vip", &out->vip, ReadText);
    map.Optional("direct", &out->direct, ReadBool);
    map.Optional("interval_ms", &out->interval_ms, Number(limits::kCheckIntervalMs));
    map.Optional("fast_interval_ms", &out->fast_interval_ms, Set(Number(limits::kCheckIntervalMs)));
    map.Optional("timeout_ms", &out->timeout_ms, Number(limits::kCheckTimeoutMs));
    map.Optional("rise", &out->rise, Number(limits::kCheckCount));
    map.Optional("fall", &out->fall, Number(limits::kCheckCount));
    map.Optional("method", &out->method, ReadText);
    map.Optional("path", &out->path, ReadText);
    map.Optional("host", &out->host, ReadText);
    map.Optional("headers", &out->headers, ListOf(ReadText));
    map.Optional("status", &out->statuses, ListOf(ReadStatus));
    map.Optional("body", &out->body, ReadText);
    map.Optional("http2", &out->http2, ReadBool);
    map.Optional("tls", &out->tls, ReadBool);
    map.Optional("server_name", &out->server_name, ReadText);
    map.Optional("ca_file", &out->ca_file, ReadText);
    map.Optional("service", &out->service, ReadText);
    map.Optional("send", &out->send, ReadText);
    map.Optional("expect", &out->expect, ReadText);
    map.Optional("command", &out->command, ReadText);
  });
}

}  // namespace sluice::config
