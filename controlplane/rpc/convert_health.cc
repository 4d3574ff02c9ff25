#include "controlplane/rpc/convert_health.h"

#include <limits>
#include <optional>
#include <utility>

#include "config/text.h"

namespace sluice::rpc {
namespace {

constexpr std::pair<v1::CheckType, config::CheckType> kTypes[] = {
    {v1::CHECK_TYPE_TCP, config::CheckType::kTcp},         {v1::CHECK_TYPE_HTTP, config::CheckType::kHttp},
    {v1::CHECK_TYPE_HTTPS, config::CheckType::kHttps},     {v1::CHECK_TYPE_GRPC, config::CheckType::kGrpc},
    {v1::CHECK_TYPE_UDP, config::CheckType::kUdp},         {v1::CHECK_TYPE_ICMP, config::CheckType::kIcmp},
    {v1::CHECK_TYPE_COMMAND, config::CheckType::kCommand},
};

config::CheckType ReadType(v1::CheckType type, const std::string& field, std::vector<config::Problem>& problems) {
  std::string names;
  for (const auto& [from, to] : kTypes) {
    if (from == type) return to;
    names += config::Cat(names.empty() ? "" : ", ", v1::CheckType_Name(from));
  }
  problems.push_back({field, config::Cat(static_cast<int>(type), " is no type of check that this version knows; give ",
                                         "one of ", names)});
  return kTypes[0].second;
}

v1::CheckType TypeOf(config::CheckType type) {
  for (const auto& [to, from] : kTypes) {
    if (from == type) return to;
  }
  return v1::CHECK_TYPE_UNSPECIFIED;
}

}  // namespace

config::HealthCheckConfig ReadHealthCheck(const v1::HealthCheck& message, const std::string& field,
                                          std::vector<config::Problem>& problems) {
  config::HealthCheckConfig check;
  check.type = ReadType(message.type(), config::KeyPath(field, "type"), problems);
  if (message.has_port()) {
    if (message.port() > std::numeric_limits<uint16_t>::max()) {
      problems.push_back({config::KeyPath(field, "port"),
                          config::OutOfRange(config::Cat("port ", message.port()), config::limits::kL4Port)});
    } else {
      check.port = static_cast<uint16_t>(message.port());
    }
  }
  check.vip = message.vip();
  check.direct = message.direct();
  if (message.has_interval_ms()) check.interval_ms = message.interval_ms();
  if (message.has_fast_interval_ms()) check.fast_interval_ms = message.fast_interval_ms();
  if (message.has_timeout_ms()) check.timeout_ms = message.timeout_ms();
  if (message.has_rise()) check.rise = message.rise();
  if (message.has_fall()) check.fall = message.fall();
  if (!message.method().empty()) check.method = message.method();
  if (!message.path().empty()) check.path = message.path();
  check.host = message.host();
  check.headers.assign(message.headers().begin(), message.headers().end());
  for (int i = 0; i < message.statuses_size(); ++i) {
    const std::optional<config::StatusRange> range = config::ParseStatusRange(message.statuses(i));
    if (range) {
      check.statuses.push_back(*range);
    } else {
      problems.push_back({config::IndexPath(config::KeyPath(field, "statuses"), static_cast<size_t>(i)),
                          config::Cat(config::Quote(message.statuses(i)),
                                      " is no status code; write a number from 100 to 599, or a range like 200-299")});
    }
  }
  check.body = message.body();
  check.http2 = message.http2();
  check.tls = message.tls();
  check.server_name = message.server_name();
  check.ca_file = message.ca_file();
  check.service = message.service();
  check.send = message.send();
  check.expect = message.expect();
  check.command = message.command();
  return check;
}

void AddCheck(const model::CheckStatusSource* checks, BackendId id, v1::BackendStatus* message) {
  const std::optional<model::CheckStatus> status = checks == nullptr ? std::nullopt : checks->StatusOf(id);
  if (!status) return;
  v1::CheckStatus* check = message->mutable_check();
  check->set_check(status->check);
  check->set_reason(status->reason);
  check->set_latency_us(static_cast<uint32_t>(status->latency.count()));
  check->set_passed(status->passed);
  check->set_failed(status->failed);
  check->set_not_made(status->not_made);
  check->set_transitions(status->transitions);
  if (status->load) check->set_load(*status->load);
}

void ToProto(const config::HealthCheckConfig& check, v1::HealthCheck* message) {
  message->set_type(TypeOf(check.type));
  if (check.port) message->set_port(*check.port);
  message->set_vip(check.vip);
  message->set_direct(check.direct);
  message->set_interval_ms(check.interval_ms);
  if (check.fast_interval_ms) message->set_fast_interval_ms(*check.fast_interval_ms);
  message->set_timeout_ms(check.timeout_ms);
  message->set_rise(check.rise);
  message->set_fall(check.fall);
  if (config::IsHttp(check.type)) {
    message->set_method(check.method);
    message->set_path(check.path);
  }
  message->set_host(check.host);
  for (const std::string& header : check.headers) message->add_headers(header);
  for (const config::StatusRange& range : check.statuses) message->add_statuses(config::StatusRangeText(range));
  message->set_body(check.body);
  message->set_http2(check.http2);
  message->set_tls(check.tls);
  message->set_server_name(check.server_name);
  message->set_ca_file(check.ca_file);
  message->set_service(check.service);
  message->set_send(check.send);
  message->set_expect(check.expect);
  message->set_command(check.command);
}

}  // namespace sluice::rpc
