#include <charconv>
#include <limits>
#include <string_view>

#include "config/cookie_secret.h"
#include "config/limits.h"
#include "config/sections.h"
#include "config/text.h"

namespace sluice::config {
namespace {

void ReadBackend(const YamlValue& value, BackendConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("name", "web-1", &out->name, ReadText);
    map.Required("address", "192.0.2.11", &out->address, ReadAddress);
    map.Optional("port", &out->port, Set(Number(limits::kL4Port)));
    map.Optional("weight", &out->weight, Number(limits::kWeight));
    map.Optional("drain", &out->drain, Set(ReadBool));
    map.Optional("cookie_id", &out->cookie_id, Set(Number(limits::kCookieId)));
    map.Optional("quic_server_ids", &out->quic_server_ids, ListOf(ReadText));
  });
}

void ReadOnDown(const YamlValue& value, OnDown* out) {
  ReadEnum(value, {OnDown::kKeep, OnDown::kReschedule, OnDown::kReset}, OnDownName, out);
}

void ReadNoBackend(const YamlValue& value, NoBackend* out) {
  ReadEnum(value, {NoBackend::kDrop, NoBackend::kIcmp, NoBackend::kReset}, NoBackendName, out);
}

void ReadScheduling(const YamlValue& value, Scheduling* out) {
  ReadEnum(
      value,
      {Scheduling::kMaglev, Scheduling::kWeightedRoundRobin, Scheduling::kPowerOfTwo, Scheduling::kLeastConnections},
      SchedulingName, out);
}

void ReadPool(const YamlValue& value, PoolConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("name", "web", &out->name, ReadText);
    map.Optional("table_size", &out->table_size, Number(limits::kTableSize));
    map.Optional("policy", &out->policy.scheduling, ReadScheduling);
    map.Optional("on_down", &out->policy.on_down, ReadOnDown);
    map.Optional("no_backend", &out->policy.no_backend, ReadNoBackend);
    map.Optional("backup", &out->policy.backup, ReadText);
    map.Optional("panic_threshold_percent", &out->policy.panic_threshold_percent, Number(limits::kPercent));
    map.Optional("slow_start_s", &out->policy.slow_start_s, Number(limits::kSlowStartS));
    map.Optional("slow_start_steps", &out->policy.slow_start_steps, Number(limits::kSlowStartSteps));
    map.Optional("weight_by_load", &out->policy.weight_by_load, ReadBool);
    map.Optional("weight_floor_percent", &out->policy.weight_floor_percent, Number(limits::kWeightFloorPercent));
    map.Optional("health_check", &out->health_check, Set(ReadHealthCheck));
    map.Optional("backends", &out->backends, ListOf(ReadBackend));
  });
}

void ReadProtocol(const YamlValue& value, Protocol* out) {
  value.Word<Protocol>({{"tcp", Protocol::kTcp}, {"udp", Protocol::kUdp}}, out);
}

void ReadMode(const YamlValue& value, ForwardingMode* out) {
  ReadEnum(value,
           {ForwardingMode::kL2, ForwardingMode::kIpip, ForwardingMode::kGue, ForwardingMode::kGueDirect,
            ForwardingMode::kGre, ForwardingMode::kNat, ForwardingMode::kFullNat},
           ModeName, out);
}

void ReadHash(const YamlValue& value, HashInput* out) {
  ReadEnum(value, {HashInput::kTuple, HashInput::kClientPort, HashInput::kClient}, HashInputName, out);
}

void ReadTracking(const YamlValue& value, ConnectionTracking* out) {
  ReadEnum(value, {ConnectionTracking::kFull, ConnectionTracking::kUnsafe, ConnectionTracking::kOff}, TrackingName,
           out);
}

void ReadConsistency(const YamlValue& value, std::optional<Consistency>* out) {
  ReadEnum(value,
           {Consistency::kHash, Consistency::kTrack, Consistency::kTrackUnsafe, Consistency::kCookie,
            Consistency::kStateful},
           ConsistencyName, &out->emplace());
}

void ReadCookie(const YamlValue& value, CookieConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("key_bits", &out->key_bits, Number(limits::kCookieWidth));
    map.Optional("tier_bits", &out->tier_bits, Number(limits::kCookieWidth));
    map.Optional("backend_bits", &out->backend_bits, Number(limits::kCookieWidth));
    map.Optional("check_bits", &out->check_bits, Number(limits::kCookieWidth));
    map.Optional("clock_bits", &out->clock_bits, Set(Number(limits::kCookieWidth)));
    map.Optional("idle_s", &out->idle_s, Number(limits::kCookieIdleS));
    map.Optional("key", &out->key, Number(limits::kCookieKeyNumber));
    map.Optional("tier", &out->tier, Number(limits::kCookieTier));
  });
}

// A key's secret is in a file of its own. Where the one in force may stay, no file means that.
void ReadCookieKey(const YamlValue& value, SeedRule rule, CookieKeyConfig* out) {
  std::string file;
  value.Map([&](MapReader& map) {
    map.Required("number", "0", &out->number, Number(limits::kCookieKeyNumber));
    if (rule == SeedRule::kRequired) {
      map.Required("file", "/etc/sluice/cookie-0.key", &file, ReadText);
    } else {
      map.Optional("file", &file, ReadText);
    }
  });
  if (file.empty()) return;
  const std::string wrong = ReadCookieSecret(file, &out->secret);
  if (!wrong.empty()) value.Fail(wrong);
}

// As with cookies, the secret is in a file of its own.
void ReadQuicConfig(const YamlValue& value, SeedRule rule, QuicConfig* out) {
  std::string file;
  value.Map([&](MapReader& map) {
    map.Required("number", "0", &out->number, Number(limits::kQuicConfigNumber));
    map.Required("server_id_bytes", "3", &out->server_id_bytes, Number(limits::kQuicIdBytes));
    map.Required("nonce_bytes", "4", &out->nonce_bytes, Number(limits::kQuicIdBytes));
    map.Optional("encrypted", &out->encrypted, ReadBool);
    map.Optional("key_file", &file, ReadText);
  });
  if (file.empty()) {
    if (out->encrypted && rule == SeedRule::kRequired) {
      value.Fail(
          "an encrypted configuration needs its key; add key_file: /etc/sluice/quic-0.key, a file with the output of: "
          "openssl rand -hex 16");
    }
    return;
  }
  out->encrypted = true;
  const std::string wrong = ReadCookieSecret(file, &out->secret);
  if (!wrong.empty()) value.Fail(wrong);
}

void ReadProxyProtocol(const YamlValue& value, ProxyProtocol* out) {
  ReadEnum(value, {ProxyProtocol::kNone, ProxyProtocol::kV2}, ProxyProtocolName, out);
}

// The number at the front of `text`, which is shortened by it.
bool TakePort(std::string_view* text, uint16_t* port) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *port);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return true;
}

}  // namespace

void ReadPorts(const YamlValue& value, PortRange* out) {
  const std::string* text = value.Scalar("a port, a range of ports or \"all\"");
  if (text == nullptr) return;
  if (*text == "all") {
    *out = PortRange::All();
    return;
  }
  // What can be meant for one number only is judged as a number.
  const std::string_view digits = std::string_view(*text).substr(text->starts_with('-') ? 1 : 0);
  if (!digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos) {
    const auto port = ReadWholeNumber(value, limits::kL4Port, std::numeric_limits<uint16_t>::max());
    if (port) *out = PortRange::Single(static_cast<uint16_t>(*port));
    return;
  }
  std::string_view rest = *text;
  PortRange range;
  bool good = TakePort(&rest, &range.first) && !rest.empty() && rest.front() == '-';
  if (good) rest.remove_prefix(1);
  good = good && TakePort(&rest, &range.last) && rest.empty();
  if (good) {
    *out = range;
    return;
  }
  value.Fail(Cat(Quote(*text), " is not a port; write a whole number from ", limits::kL4Port.min, " to ",
                 limits::kL4Port.max, ", a range like 8000-8999, or all"));
}

namespace {

void ReadVipTimeouts(const YamlValue& value, VipTimeoutsConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("tcp_syn_s", &out->tcp_syn_s, Set(Number(limits::kTimeoutS)));
    map.Optional("tcp_established_s", &out->tcp_established_s, Set(Number(limits::kTimeoutS)));
    map.Optional("tcp_closing_s", &out->tcp_closing_s, Set(Number(limits::kTimeoutS)));
    map.Optional("tcp_reset_s", &out->tcp_reset_s, Set(Number(limits::kTimeoutS)));
    map.Optional("udp_s", &out->udp_s, Set(Number(limits::kTimeoutS)));
  });
}

void ReadVip(const YamlValue& value, VipConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("name", "www", &out->name, ReadText);
    map.Required("address", "203.0.113.10", &out->prefix, ReadAddressOrPrefix);
    map.Optional("protocol", &out->protocol, ReadProtocol);
    map.Required("port", "80", &out->ports, ReadPorts);
    map.Required("pool", "web", &out->pool, ReadText);
    map.Optional("mode", &out->mode, ReadMode);
    if (IsGue(out->mode)) out->gue_port = kDefaultGuePort;
    map.Optional("gue_port", &out->gue_port, Set(Number(limits::kL4Port)));
    map.Optional("hash", &out->hash, ReadHash);
    std::optional<ConnectionTracking> tracking;
    map.Optional("connection_tracking", &tracking, Set(ReadTracking));
    out->tracking = tracking.value_or(ConnectionTracking::kFull);
    std::optional<Consistency> consistency;
    map.Optional("consistency", &consistency, ReadConsistency);
    if (consistency && !SetConsistency(*consistency, tracking.has_value(), out)) {
      value.Fail(Cat("consistency ", ConsistencyName(*consistency), " contradicts connection_tracking ",
                     TrackingName(out->tracking), "; remove one of them"));
    }
    map.Optional("cookie", &out->cookie, Set(ReadCookie));
    map.Optional("second_chance", &out->second_chance, ReadBool);
    map.Optional("quic", &out->quic, ReadBool);
    map.Optional("answer_echo", &out->answer_echo, ReadBool);
    map.Optional("proxy_protocol", &out->proxy_protocol, ReadProxyProtocol);
    map.Optional("clamp_mss", &out->clamp_mss, ReadBool);
    map.Optional("timeouts", &out->timeouts, ReadVipTimeouts);
  });
}

}  // namespace

void ReadServices(const YamlValue& value, SeedRule seed, ServiceConfig* out) {
  value.Map([&](MapReader& map) {
    if (seed == SeedRule::kRequired) {
      map.Required("seed", "<the output of: openssl rand -hex 16>", &out->seed, ReadText);
    } else {
      map.Optional("seed", &out->seed, ReadText);
    }
    map.Optional("pools", &out->pools, ListOf(ReadPool));
    map.Optional("vips", &out->vips, ListOf(ReadVip));
    map.Optional("cookie_keys", &out->cookie_keys,
                 ListOf([seed](const YamlValue& key, CookieKeyConfig* to) { ReadCookieKey(key, seed, to); }));
    map.Optional("quic_configs", &out->quic_configs,
                 ListOf([seed](const YamlValue& config, QuicConfig* to) { ReadQuicConfig(config, seed, to); }));
    map.Optional("cookie_quarantine_s", &out->cookie_quarantine_s, Number(limits::kCookieQuarantineS));
  });
}

}  // namespace sluice::config
