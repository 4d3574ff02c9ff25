#include "controlplane/probe/http_answer.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "absl/strings/match.h"
#include "controlplane/model/text.h"
#include "controlplane/probe/grpc_health.h"

namespace sluice::probe {
namespace {

using health::ProbeResult;
using model::Cat;
using Kind = ProbeResult::Kind;

std::string WantedText(const std::vector<config::StatusRange>& statuses) {
  std::string text;
  for (const config::StatusRange& range : statuses) {
    text += Cat(text.empty() ? "" : ", ", range.first);
    if (range.last != range.first) text += Cat("-", range.last);
  }
  return text;
}

// "0.42". What a server says is a claim: nothing, where it makes no sense.
std::optional<double> LoadOf(std::string_view text) {
  constexpr double kMostLoad = 100;
  double load = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), load, std::chars_format::fixed);
  const bool good = error == std::errc() && end == text.data() + text.size() && load >= 0 && load <= kMostLoad;
  return good ? std::optional(load) : std::nullopt;
}

ProbeResult JudgeGrpc(const HttpAnswer& answer) {
  if (answer.status != 200) return {Kind::kFailed, Cat("gRPC: HTTP status ", answer.status, ", wanted 200")};
  if (answer.grpc_status.value_or(0) != 0) {
    constexpr int kNotFound = 5;
    constexpr int kUnimplemented = 12;
    std::string reason = Cat("gRPC status ", *answer.grpc_status);
    if (*answer.grpc_status == kNotFound) reason += ": the server knows no such service";
    if (*answer.grpc_status == kUnimplemented) reason += ": the server does not speak grpc.health.v1";
    if (!answer.grpc_message.empty()) reason += Cat(" (", answer.grpc_message, ")");
    return {Kind::kFailed, std::move(reason)};
  }
  const auto status = ParseGrpcHealthResponse(answer.body);
  if (!status) return {Kind::kFailed, "gRPC: the answer is no HealthCheckResponse"};
  return {*status == ServingStatus::kServing ? Kind::kPassed : Kind::kFailed,
          Cat("gRPC health ", ServingStatusName(*status))};
}

}  // namespace

void ReadHeaderLine(std::string_view line, HttpAnswer* answer) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front())) != 0) value.remove_prefix(1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())) != 0) value.remove_suffix(1);
  const auto is = [&](std::string_view other) {
    return absl::EqualsIgnoreCase({name.data(), name.size()}, {other.data(), other.size()});
  };
  if (is("grpc-status")) {
    int status = 2;  // UNKNOWN
    std::from_chars(value.data(), value.data() + value.size(), status);
    answer->grpc_status = status;
  } else if (is("grpc-message")) {
    answer->grpc_message = value.substr(0, 200);
  } else if (is("sluice-load")) {
    answer->load = LoadOf(value);
  }
}

ProbeResult JudgeAnswer(const config::HealthCheckConfig& check, const HttpAnswer& answer) {
  const bool must_be_http2 = check.http2 || check.type == config::CheckType::kGrpc;
  if (must_be_http2 && !answer.is_http2) return {Kind::kFailed, "the server does not speak HTTP/2"};
  if (check.type == config::CheckType::kGrpc) return JudgeGrpc(answer);
  const std::vector<config::StatusRange> usual = {config::StatusRange()};
  const std::vector<config::StatusRange>& wanted = check.statuses.empty() ? usual : check.statuses;
  const bool good = std::any_of(wanted.begin(), wanted.end(), [&](const config::StatusRange& range) {
    return answer.status >= range.first && answer.status <= range.last;
  });
  if (!good) return {Kind::kFailed, Cat("HTTP status ", answer.status, ", wanted ", WantedText(wanted))};
  if (answer.body.find(check.body) == std::string::npos) {
    return {Kind::kFailed, Cat("HTTP status ", answer.status, ", but \"", check.body,
                               "\" is not in the answer's first ", kBodyBytes / 1024, " KiB")};
  }
  return {Kind::kPassed, Cat("HTTP status ", answer.status), answer.load};
}

}  // namespace sluice::probe
