#include "controlplane/model/describe.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/str_join.h"
#include "controlplane/model/text.h"

namespace sluice::model {
namespace {

// What a VIP leaves to its node is called that.
std::string SecondsText(const std::optional<uint32_t>& seconds) {
  return seconds ? absl::StrCat(*seconds) : "the node's";
}

// Collects "name before -> after" of what differs.
class Differences {
 public:
  void Add(std::string_view name, std::string_view before, std::string_view after) {
    if (before != after) parts_.push_back(Cat(name, " ", before, " -> ", after));
  }
  void Add(std::string_view name, const std::optional<uint32_t>& before, const std::optional<uint32_t>& after) {
    Add(name, SecondsText(before), SecondsText(after));
  }
  const std::vector<std::string>& parts() const { return parts_; }

 private:
  std::vector<std::string> parts_;
};

// "key 1, tier 0, backend 12, check 2, clock auto bits, idle 7200 s"
std::string CookieText(const DesiredVip& vip) {
  if (vip.cookies == config::Cookies::kNone) return "none";
  if (vip.cookies == config::Cookies::kSlot) return "the number of a slot";
  const config::CookieConfig cookie = vip.cookie.value_or(config::CookieConfig());
  return Cat("key ", cookie.key_bits, ", tier ", cookie.tier_bits, ", backend ", cookie.backend_bits, ", check ",
             cookie.check_bits, ", clock ", cookie.clock_bits ? absl::StrCat(*cookie.clock_bits) : "auto",
             " bits, idle ", cookie.idle_s, " s", cookie.key == 0 ? "" : Cat(", by key ", cookie.key),
             cookie.tier == 1 ? ", to tier-2 directors" : "");
}

uint16_t GuePort(const DesiredVip& vip) { return vip.gue_port.value_or(config::kDefaultGuePort); }

}  // namespace

std::string ServiceAddress(const DesiredVip& vip) {
  const std::string text = config::AddressText(vip.prefix);
  const std::string address = vip.prefix.address.is_v4() ? text : Cat("[", text, "]");
  return Cat(address, ":", config::PortsText(vip.ports), "/", ProtocolName(vip.protocol));
}

std::string DescribeAdded(std::string_view pool, const BackendRecord& backend) {
  return Cat("+ backend ", pool, "/", backend.desired.name, ": ", config::AddressText(backend.desired), " weight ",
             backend.desired.weight, " ", LifecycleName(backend.lifecycle));
}

std::string DescribeRemoved(std::string_view pool, const BackendRecord& backend) {
  return Cat("- backend ", pool, "/", backend.desired.name, ": ", LifecycleName(backend.lifecycle), " -> ",
             LifecycleName(Lifecycle::kRemoved));
}

std::string DescribeChanged(std::string_view pool, const BackendRecord& before, const BackendRecord& after) {
  std::vector<std::string> parts;
  if (before.desired.name != after.desired.name) {
    parts.push_back(Cat("name ", before.desired.name, " -> ", after.desired.name));
  }
  if (before.desired.weight != after.desired.weight) {
    parts.push_back(Cat("weight ", before.desired.weight, " -> ", after.desired.weight));
  }
  if (before.desired.cookie_id != after.desired.cookie_id) {
    const auto text = [](const std::optional<uint16_t>& id) { return id ? absl::StrCat(*id) : "none"; };
    parts.push_back(Cat("cookie_id ", text(before.desired.cookie_id), " -> ", text(after.desired.cookie_id)));
  }
  if (before.desired.quic_server_ids != after.desired.quic_server_ids) {
    const auto text = [](const std::vector<std::string>& ids) {
      return ids.empty() ? "none" : absl::StrJoin(ids, " ");
    };
    parts.push_back(
        Cat("quic_server_ids ", text(before.desired.quic_server_ids), " -> ", text(after.desired.quic_server_ids)));
  }
  if (before.lifecycle != after.lifecycle) {
    parts.push_back(Cat(LifecycleName(before.lifecycle), " -> ", LifecycleName(after.lifecycle)));
  }
  if (before.health.value() != after.health.value()) {
    std::string part = Cat(HealthName(before.health.value()), " -> ", HealthName(after.health.value()));
    if (!after.health.reason.empty()) part += Cat(" (", after.health.reason, ")");
    parts.push_back(std::move(part));
  }
  if (parts.empty()) return "";
  return Cat("~ backend ", pool, "/", after.desired.name, ": ", absl::StrJoin(parts, ", "));
}

std::string DescribeChanged(std::string_view pool, const config::PoolPolicy& before, const config::PoolPolicy& after) {
  const auto backup = [](const config::PoolPolicy& policy) {
    return policy.backup.empty() ? std::string_view("-") : std::string_view(policy.backup);
  };
  Differences differences;
  differences.Add("policy", config::SchedulingName(before.scheduling), config::SchedulingName(after.scheduling));
  differences.Add("on_down", config::OnDownName(before.on_down), config::OnDownName(after.on_down));
  differences.Add("no_backend", config::NoBackendName(before.no_backend), config::NoBackendName(after.no_backend));
  differences.Add("backup", backup(before), backup(after));
  differences.Add("panic_threshold_percent", absl::StrCat(before.panic_threshold_percent),
                  absl::StrCat(after.panic_threshold_percent));
  differences.Add("slow_start_s", absl::StrCat(before.slow_start_s), absl::StrCat(after.slow_start_s));
  differences.Add("slow_start_steps", absl::StrCat(before.slow_start_steps), absl::StrCat(after.slow_start_steps));
  differences.Add("weight_by_load", before.weight_by_load ? "true" : "false", after.weight_by_load ? "true" : "false");
  differences.Add("weight_floor_percent", absl::StrCat(before.weight_floor_percent),
                  absl::StrCat(after.weight_floor_percent));
  if (differences.parts().empty()) return "";
  return Cat("~ pool ", pool, ": ", absl::StrJoin(differences.parts(), ", "));
}

std::string DescribeCheck(const config::HealthCheckConfig& check) {
  std::string text(config::CheckTypeName(check.type));
  if (config::IsHttp(check.type)) text += Cat(" ", check.method, " ", check.host, check.path);
  if (!check.service.empty()) text += Cat(" ", check.service);
  if (!check.command.empty()) text += Cat(" ", check.command);
  if (check.http2) text += " http2";
  if (check.port) text += Cat(" port ", *check.port);
  if (check.direct) text += " direct";
  if (!check.vip.empty()) text += Cat(" as ", check.vip);
  return text + Cat(", every ", check.interval_ms, " ms, timeout ", check.timeout_ms, " ms, rise ", check.rise,
                    ", fall ", check.fall);
}

std::string DescribeChanged(std::string_view pool, const std::optional<config::HealthCheckConfig>& before,
                            const std::optional<config::HealthCheckConfig>& after) {
  if (before == after) return "";
  const auto text = [](const std::optional<config::HealthCheckConfig>& check) {
    return check ? DescribeCheck(*check) : std::string("none");
  };
  const std::string was = text(before);
  const std::string is = text(after);
  return Cat("~ pool ", pool, ": health_check ", was, was == is ? " (other details)" : Cat(" -> ", is));
}

std::string DescribeAdded(const DesiredVip& vip) {
  return Cat("+ vip ", vip.name, ": ", ServiceAddress(vip), " pool ", vip.pool, " mode ", ModeName(vip.mode));
}

std::string DescribeChanged(const DesiredVip& before, const DesiredVip& after) {
  Differences differences;
  differences.Add("name", before.name, after.name);
  differences.Add("pool", before.pool, after.pool);
  differences.Add("mode", ModeName(before.mode), ModeName(after.mode));
  if (config::IsGue(before.mode) && config::IsGue(after.mode)) {
    differences.Add("gue_port", absl::StrCat(GuePort(before)), absl::StrCat(GuePort(after)));
  }
  differences.Add("hash", config::HashInputName(before.hash), config::HashInputName(after.hash));
  differences.Add("connection_tracking", config::TrackingName(before.tracking), config::TrackingName(after.tracking));
  differences.Add("cookie", CookieText(before), CookieText(after));
  differences.Add("second_chance", before.second_chance ? "true" : "false", after.second_chance ? "true" : "false");
  differences.Add("quic", before.quic ? "true" : "false", after.quic ? "true" : "false");
  differences.Add("answer_echo", before.answer_echo ? "true" : "false", after.answer_echo ? "true" : "false");
  differences.Add("proxy_protocol", config::ProxyProtocolName(before.proxy_protocol),
                  config::ProxyProtocolName(after.proxy_protocol));
  differences.Add("clamp_mss", before.clamp_mss ? "true" : "false", after.clamp_mss ? "true" : "false");
  differences.Add("tcp_syn_s", before.timeouts.tcp_syn_s, after.timeouts.tcp_syn_s);
  differences.Add("tcp_established_s", before.timeouts.tcp_established_s, after.timeouts.tcp_established_s);
  differences.Add("tcp_closing_s", before.timeouts.tcp_closing_s, after.timeouts.tcp_closing_s);
  differences.Add("tcp_reset_s", before.timeouts.tcp_reset_s, after.timeouts.tcp_reset_s);
  differences.Add("udp_s", before.timeouts.udp_s, after.timeouts.udp_s);
  if (differences.parts().empty()) return "";
  return Cat("~ vip ", after.name, ": ", absl::StrJoin(differences.parts(), ", "));
}

}  // namespace sluice::model
