#include "config/dump.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "config/dump_health.h"
#include "config/text.h"

namespace sluice::config {
namespace {

// Valid names have no character that needs an escape; what needs quotes are those that YAML, here or in another
// program, takes for something else than text ("null", "on", "1e3", "12:30"), so only plain words go without.
std::string Word(std::string_view text) {
  constexpr std::array<std::string_view, 8> kSpecial = {"null", "true", "false", "yes", "no", "on", "off", "y"};
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z'); };
  const bool plain = !text.empty() && is_letter(text.front()) && text != "n" &&
                     std::find(kSpecial.begin(), kSpecial.end(), text) == kSpecial.end() &&
                     std::all_of(text.begin(), text.end(), [&](char c) {
                       return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
                     });
  return plain ? std::string(text) : Cat("\"", text, "\"");
}

// IPv6 addresses have colons, which end a key in YAML.
std::string Address(const net::IpPrefix& prefix) {
  return prefix.address.is_v4() ? AddressText(prefix) : Cat("\"", AddressText(prefix), "\"");
}
std::string Address(const net::IpAddress& address) { return Address({address, address.bits()}); }

void DumpPool(const PoolConfig& pool, std::string* out) {
  *out += Cat("    - name: ", Word(pool.name), "\n      table_size: ", pool.table_size, "\n");
  const PoolPolicy& policy = pool.policy;
  const PoolPolicy usual;
  const auto add = [&](bool differs, std::string_view key, const std::string& value) {
    if (differs) *out += Cat("      ", key, ": ", value, "\n");
  };
  add(policy.scheduling != usual.scheduling, "policy", std::string(SchedulingName(policy.scheduling)));
  add(policy.on_down != usual.on_down, "on_down", std::string(OnDownName(policy.on_down)));
  add(policy.no_backend != usual.no_backend, "no_backend", std::string(NoBackendName(policy.no_backend)));
  add(!policy.backup.empty(), "backup", Word(policy.backup));
  const auto add_number = [&](uint32_t value, uint32_t of_usual, std::string_view key) {
    add(value != of_usual, key, std::to_string(value));
  };
  add_number(policy.panic_threshold_percent, usual.panic_threshold_percent, "panic_threshold_percent");
  add_number(policy.slow_start_s, usual.slow_start_s, "slow_start_s");
  add_number(policy.slow_start_steps, usual.slow_start_steps, "slow_start_steps");
  add(policy.weight_by_load, "weight_by_load", "true");
  add_number(policy.weight_floor_percent, usual.weight_floor_percent, "weight_floor_percent");
  if (pool.health_check) *out += Cat("      health_check: ", DumpHealthCheck(*pool.health_check), "\n");
  *out += pool.backends.empty() ? "      backends: []\n" : "      backends:\n";
  for (const BackendConfig& backend : pool.backends) {
    *out += Cat("        - {name: ", Word(backend.name), ", address: ", Address(backend.address),
                backend.port ? Cat(", port: ", *backend.port) : "", ", weight: ", backend.weight);
    if (backend.cookie_id) *out += Cat(", cookie_id: ", *backend.cookie_id);
    for (size_t i = 0; i < backend.quic_server_ids.size(); ++i) {
      *out += Cat(i == 0 ? ", quic_server_ids: [\"" : ", \"", backend.quic_server_ids[i], "\"");
    }
    if (!backend.quic_server_ids.empty()) *out += "]";
    if (backend.drain) *out += *backend.drain ? ", drain: true" : ", drain: false";
    *out += "}\n";
  }
}

// Those that are set.
std::string Timeouts(const VipTimeoutsConfig& timeouts) {
  std::string out;
  const auto add = [&](std::string_view key, const std::optional<uint32_t>& seconds) {
    if (seconds) out += Cat(out.empty() ? "" : ", ", key, ": ", *seconds);
  };
  add("tcp_syn_s", timeouts.tcp_syn_s);
  add("tcp_established_s", timeouts.tcp_established_s);
  add("tcp_closing_s", timeouts.tcp_closing_s);
  add("tcp_reset_s", timeouts.tcp_reset_s);
  add("udp_s", timeouts.udp_s);
  return out;
}

std::string Cookie(const CookieConfig& cookie) {
  std::string out = Cat("{key_bits: ", cookie.key_bits, ", tier_bits: ", cookie.tier_bits,
                        ", backend_bits: ", cookie.backend_bits, ", check_bits: ", cookie.check_bits);
  if (cookie.clock_bits) out += Cat(", clock_bits: ", *cookie.clock_bits);
  return out + Cat(", idle_s: ", cookie.idle_s, cookie.key == 0 ? "" : Cat(", key: ", cookie.key),
                   cookie.tier == 1 ? ", tier: 1" : "", "}");
}

void DumpVip(const VipConfig& vip, std::string* out) {
  const std::string indent = ",\n       ";
  *out += Cat("    - {name: ", Word(vip.name), ", address: ", Address(vip.prefix),
              ", protocol: ", ProtocolName(vip.protocol), ", port: ", PortsText(vip.ports), ", pool: ", Word(vip.pool),
              ", mode: ", ModeName(vip.mode));
  if (vip.gue_port) *out += Cat(", gue_port: ", *vip.gue_port);
  // In quotes, because YAML takes "off" for something else than text.
  *out += Cat(indent, "hash: ", HashInputName(vip.hash), ", connection_tracking: \"", TrackingName(vip.tracking),
              "\", answer_echo: ", vip.answer_echo ? "true" : "false");
  *out += Cat(indent, "proxy_protocol: ", ProxyProtocolName(vip.proxy_protocol),
              ", clamp_mss: ", vip.clamp_mss ? "true" : "false");
  if (vip.second_chance) *out += ", second_chance: true";
  if (vip.quic) *out += ", quic: true";
  if (vip.cookies != Cookies::kNone) *out += Cat(indent, "consistency: ", ConsistencyName(ConsistencyOf(vip)));
  if (vip.cookie) *out += Cat(indent, "cookie: ", Cookie(*vip.cookie));
  const std::string timeouts = Timeouts(vip.timeouts);
  if (!timeouts.empty()) *out += Cat(indent, "timeouts: {", timeouts, "}");
  *out += "}\n";
}

}  // namespace

std::string DumpServices(const ServiceConfig& services) {
  std::string out = "services:\n";
  if (!services.seed.empty()) out += Cat("  seed: \"", services.seed, "\"\n");
  // Secrets are shown to nobody: without one, the key of that number stays in force.
  if (!services.cookie_keys.empty()) out += "  cookie_keys:\n";
  for (const CookieKeyConfig& key : services.cookie_keys) out += Cat("    - {number: ", key.number, "}\n");
  if (services.cookie_quarantine_s != ServiceConfig().cookie_quarantine_s) {
    out += Cat("  cookie_quarantine_s: ", services.cookie_quarantine_s, "\n");
  }
  if (!services.quic_configs.empty()) out += "  quic_configs:\n";
  for (const QuicConfig& quic : services.quic_configs) {
    out += Cat("    - {number: ", quic.number, ", server_id_bytes: ", quic.server_id_bytes,
               ", nonce_bytes: ", quic.nonce_bytes, ", encrypted: ", quic.encrypted ? "true" : "false", "}\n");
  }
  out += services.pools.empty() ? "  pools: []\n" : "  pools:\n";
  for (const PoolConfig& pool : services.pools) DumpPool(pool, &out);
  out += services.vips.empty() ? "  vips: []\n" : "  vips:\n";
  for (const VipConfig& vip : services.vips) DumpVip(vip, &out);
  return out;
}

}  // namespace sluice::config
