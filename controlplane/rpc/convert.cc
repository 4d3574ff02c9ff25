#include "controlplane/rpc/convert.h"

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/problem.h"
#include "config/text.h"
#include "controlplane/rpc/convert_health.h"
#include "sluice/v1/types.pb.h"

namespace sluice::rpc {
namespace {

using Problems = std::vector<config::Problem>;

// `example` completes "write it like ".
template <typename Address>
Address ReadText(const std::string& text, const std::string& field, std::string_view example, Problems& problems) {
  const std::optional<Address> address = Address::Parse(text);
  if (address.has_value()) return *address;
  problems.push_back({field, text.empty()
                                 ? std::string("is missing; give an IPv4 or IPv6 address")
                                 : config::Cat(config::Quote(text), " is not an IP address; write it like ", example)});
  return {};
}

uint16_t ReadPort(uint32_t port, const std::string& field, Problems& problems) {
  if (port <= std::numeric_limits<uint16_t>::max()) return static_cast<uint16_t>(port);
  problems.push_back({field, config::Cat(port, " is out of range; give a whole number from 1 to 65535")});
  return 0;
}

config::BackendConfig ReadBackend(const v1::Backend& message, std::string_view field, Problems& problems) {
  config::BackendConfig backend;
  backend.name = message.name();
  backend.address = ReadText<net::IpAddress>(message.address(), config::KeyPath(field, "address"),
                                             "192.0.2.1 or 2001:db8::1, without a prefix length", problems);
  if (message.has_port()) backend.port = ReadPort(message.port(), config::KeyPath(field, "port"), problems);
  if (message.has_weight()) backend.weight = message.weight();
  if (message.has_drain()) backend.drain = message.drain();
  if (message.has_cookie_id()) {
    if (config::limits::kCookieId.Contains(message.cookie_id())) {
      backend.cookie_id = static_cast<uint16_t>(message.cookie_id());
    } else {
      problems.push_back({config::KeyPath(field, "cookie_id"),
                          config::OutOfRange(std::to_string(message.cookie_id()), config::limits::kCookieId)});
    }
  }
  backend.quic_server_ids.assign(message.quic_server_ids().begin(), message.quic_server_ids().end());
  return backend;
}

// The value that `known` gives for a message's enumerator; the first one, and a problem, for those of a newer client.
// `name_of` names enumerators.
template <typename To, typename From, size_t n, typename NameOf>
To ReadEnum(From value, const std::pair<From, To> (&known)[n], NameOf name_of, std::string_view what,
            const std::string& field, Problems& problems) {
  std::string names;
  for (const auto& [from, to] : known) {
    if (from == value) return to;
    names += config::Cat(names.empty() ? "" : ", ", name_of(from));
  }
  problems.push_back(
      {field, config::Cat(static_cast<int>(value), " is no ", what, " that this version knows; give one of ", names)});
  return known[0].second;
}

constexpr std::pair<v1::ForwardingMode, config::ForwardingMode> kModes[] = {
    {v1::FORWARDING_MODE_L2, config::ForwardingMode::kL2},
    {v1::FORWARDING_MODE_IPIP, config::ForwardingMode::kIpip},
    {v1::FORWARDING_MODE_GUE, config::ForwardingMode::kGue},
    {v1::FORWARDING_MODE_GUE_DIRECT, config::ForwardingMode::kGueDirect},
    {v1::FORWARDING_MODE_GRE, config::ForwardingMode::kGre},
    {v1::FORWARDING_MODE_NAT, config::ForwardingMode::kNat},
    {v1::FORWARDING_MODE_FULL_NAT, config::ForwardingMode::kFullNat},
};
constexpr std::pair<v1::HashInput, config::HashInput> kHashInputs[] = {
    {v1::HASH_INPUT_TUPLE, config::HashInput::kTuple},
    {v1::HASH_INPUT_CLIENT_PORT, config::HashInput::kClientPort},
    {v1::HASH_INPUT_CLIENT, config::HashInput::kClient},
    {v1::HASH_INPUT_UNSPECIFIED, config::HashInput::kTuple},
};
constexpr std::pair<v1::ConnectionTracking, config::ConnectionTracking> kTrackings[] = {
    {v1::CONNECTION_TRACKING_FULL, config::ConnectionTracking::kFull},
    {v1::CONNECTION_TRACKING_OFF, config::ConnectionTracking::kOff},
    {v1::CONNECTION_TRACKING_UNSAFE, config::ConnectionTracking::kUnsafe},
    {v1::CONNECTION_TRACKING_UNSPECIFIED, config::ConnectionTracking::kFull},
};
constexpr std::pair<v1::Consistency, config::Consistency> kConsistencies[] = {
    {v1::CONSISTENCY_HASH, config::Consistency::kHash},
    {v1::CONSISTENCY_TRACK, config::Consistency::kTrack},
    {v1::CONSISTENCY_TRACK_UNSAFE, config::Consistency::kTrackUnsafe},
    {v1::CONSISTENCY_COOKIE, config::Consistency::kCookie},
    {v1::CONSISTENCY_STATEFUL, config::Consistency::kStateful},
};

constexpr std::pair<v1::OnDown, config::OnDown> kOnDowns[] = {
    {v1::ON_DOWN_UNSPECIFIED, config::OnDown::kKeep},
    {v1::ON_DOWN_KEEP, config::OnDown::kKeep},
    {v1::ON_DOWN_RESCHEDULE, config::OnDown::kReschedule},
    {v1::ON_DOWN_RESET, config::OnDown::kReset},
};

constexpr std::pair<v1::SchedulingPolicy, config::Scheduling> kSchedulings[] = {
    {v1::SCHEDULING_POLICY_MAGLEV, config::Scheduling::kMaglev},
    {v1::SCHEDULING_POLICY_WEIGHTED_ROUND_ROBIN, config::Scheduling::kWeightedRoundRobin},
    {v1::SCHEDULING_POLICY_POWER_OF_TWO, config::Scheduling::kPowerOfTwo},
    {v1::SCHEDULING_POLICY_LEAST_CONNECTIONS, config::Scheduling::kLeastConnections},
    {v1::SCHEDULING_POLICY_UNSPECIFIED, config::Scheduling::kMaglev},
};

constexpr std::pair<v1::NoBackend, config::NoBackend> kNoBackends[] = {
    {v1::NO_BACKEND_UNSPECIFIED, config::NoBackend::kDrop},
    {v1::NO_BACKEND_DROP, config::NoBackend::kDrop},
    {v1::NO_BACKEND_ICMP, config::NoBackend::kIcmp},
    {v1::NO_BACKEND_RESET, config::NoBackend::kReset},
};

constexpr std::pair<v1::ProxyProtocol, config::ProxyProtocol> kProxyProtocols[] = {
    {v1::PROXY_PROTOCOL_NONE, config::ProxyProtocol::kNone},
    {v1::PROXY_PROTOCOL_V2, config::ProxyProtocol::kV2},
    {v1::PROXY_PROTOCOL_UNSPECIFIED, config::ProxyProtocol::kNone},
};

// The other way; the first that fits.
template <typename To, typename From, size_t n>
From EnumOf(To value, const std::pair<From, To> (&known)[n]) {
  for (const auto& [from, to] : known) {
    if (to == value) return from;
  }
  return {};
}

config::PoolConfig ReadPool(const v1::Pool& message, std::string_view field, Problems& problems) {
  config::PoolConfig pool;
  pool.name = message.name();
  if (message.table_size() != 0) pool.table_size = message.table_size();
  pool.policy.on_down = ReadEnum(message.on_down(), kOnDowns, v1::OnDown_Name<v1::OnDown>, "on_down",
                                 config::KeyPath(field, "on_down"), problems);
  pool.policy.no_backend = ReadEnum(message.no_backend(), kNoBackends, v1::NoBackend_Name<v1::NoBackend>, "no_backend",
                                    config::KeyPath(field, "no_backend"), problems);
  pool.policy.backup = message.backup();
  pool.policy.scheduling = ReadEnum(message.policy(), kSchedulings, v1::SchedulingPolicy_Name<v1::SchedulingPolicy>,
                                    "policy", config::KeyPath(field, "policy"), problems);
  pool.policy.panic_threshold_percent = message.panic_threshold_percent();
  pool.policy.slow_start_s = message.slow_start_s();
  if (message.slow_start_steps() != 0) pool.policy.slow_start_steps = message.slow_start_steps();
  pool.policy.weight_by_load = message.weight_by_load();
  if (message.weight_floor_percent() != 0) pool.policy.weight_floor_percent = message.weight_floor_percent();
  if (message.has_health_check()) {
    pool.health_check = ReadHealthCheck(message.health_check(), config::KeyPath(field, "health_check"), problems);
  }
  for (int i = 0; i < message.backends_size(); ++i) {
    const std::string path = config::IndexPath(config::KeyPath(field, "backends"), static_cast<size_t>(i));
    pool.backends.push_back(ReadBackend(message.backends(i), path, problems));
  }
  return pool;
}

config::Protocol ReadProtocol(v1::Protocol protocol, const std::string& field, Problems& problems) {
  switch (protocol) {
    case v1::PROTOCOL_TCP:
      return config::Protocol::kTcp;
    case v1::PROTOCOL_UDP:
      return config::Protocol::kUdp;
    default:
      problems.push_back({field, config::Cat(static_cast<int>(protocol),
                                             " is no protocol that this version knows; give "
                                             "PROTOCOL_TCP or PROTOCOL_UDP")});
      return config::Protocol::kTcp;
  }
}

config::PortRange ReadPorts(const v1::Vip& message, std::string_view field, Problems& problems) {
  const std::string path = config::KeyPath(field, "port");
  switch (message.service_case()) {
    case v1::Vip::kPort:
      return config::PortRange::Single(ReadPort(message.port(), path, problems));
    case v1::Vip::kPorts:
      // All ports have a field of their own: 0 is no port.
      if (message.ports().first() == 0) {
        problems.push_back({path, "the range begins at 0; begin at 1, or set all_ports"});
        return {};
      }
      return {ReadPort(message.ports().first(), path, problems), ReadPort(message.ports().last(), path, problems)};
    case v1::Vip::kAllPorts:
      if (message.all_ports()) return config::PortRange::All();
      break;
    case v1::Vip::SERVICE_NOT_SET:
      break;
  }
  problems.push_back({path, "is missing; set port, ports, or all_ports to true"});
  return {};
}

config::VipTimeoutsConfig ReadTimeouts(const v1::FlowTimeouts& message) {
  config::VipTimeoutsConfig timeouts;
  if (message.has_tcp_syn_s()) timeouts.tcp_syn_s = message.tcp_syn_s();
  if (message.has_tcp_established_s()) timeouts.tcp_established_s = message.tcp_established_s();
  if (message.has_tcp_closing_s()) timeouts.tcp_closing_s = message.tcp_closing_s();
  if (message.has_tcp_reset_s()) timeouts.tcp_reset_s = message.tcp_reset_s();
  if (message.has_udp_s()) timeouts.udp_s = message.udp_s();
  return timeouts;
}

void ToProto(const config::VipTimeoutsConfig& timeouts, v1::FlowTimeouts* message) {
  if (timeouts.tcp_syn_s) message->set_tcp_syn_s(*timeouts.tcp_syn_s);
  if (timeouts.tcp_established_s) message->set_tcp_established_s(*timeouts.tcp_established_s);
  if (timeouts.tcp_closing_s) message->set_tcp_closing_s(*timeouts.tcp_closing_s);
  if (timeouts.tcp_reset_s) message->set_tcp_reset_s(*timeouts.tcp_reset_s);
  if (timeouts.udp_s) message->set_udp_s(*timeouts.udp_s);
}

config::CookieConfig ReadCookie(const v1::CookieLayout& message) {
  config::CookieConfig cookie;
  if (message.has_key_bits()) cookie.key_bits = message.key_bits();
  if (message.has_tier_bits()) cookie.tier_bits = message.tier_bits();
  if (message.has_backend_bits()) cookie.backend_bits = message.backend_bits();
  if (message.has_check_bits()) cookie.check_bits = message.check_bits();
  if (message.has_clock_bits()) cookie.clock_bits = message.clock_bits();
  if (message.has_idle_s()) cookie.idle_s = message.idle_s();
  cookie.key = message.key();
  if (message.has_tier()) cookie.tier = message.tier();
  return cookie;
}

void ToProto(const config::CookieConfig& cookie, v1::CookieLayout* message) {
  message->set_key_bits(cookie.key_bits);
  message->set_tier_bits(cookie.tier_bits);
  message->set_backend_bits(cookie.backend_bits);
  message->set_check_bits(cookie.check_bits);
  if (cookie.clock_bits) message->set_clock_bits(*cookie.clock_bits);
  message->set_idle_s(cookie.idle_s);
  message->set_key(cookie.key);
  message->set_tier(cookie.tier);
}

// After the VIP's tracking.
void ReadConsistency(const v1::Vip& message, std::string_view field, config::VipConfig* vip, Problems& problems) {
  if (message.has_cookie()) vip->cookie = ReadCookie(message.cookie());
  if (message.consistency() == v1::CONSISTENCY_UNSPECIFIED) return;
  const std::string path = config::KeyPath(field, "consistency");
  const auto consistency = ReadEnum(message.consistency(), kConsistencies, v1::Consistency_Name<v1::Consistency>,
                                    "consistency", path, problems);
  const bool tracking_given = message.connection_tracking() != v1::CONNECTION_TRACKING_UNSPECIFIED;
  if (config::SetConsistency(consistency, tracking_given, vip)) return;
  problems.push_back({path, config::Cat(config::ConsistencyName(consistency), " contradicts connection_tracking ",
                                        config::TrackingName(vip->tracking), "; leave one of them out")});
}

config::VipConfig ReadVip(const v1::Vip& message, std::string_view field, Problems& problems) {
  const auto path = [&](std::string_view key) { return config::KeyPath(field, key); };
  config::VipConfig vip;
  vip.name = message.name();
  vip.prefix = ReadText<net::IpPrefix>(message.address(), path("address"),
                                       "203.0.113.10, 203.0.113.0/24 or 2001:db8::10", problems);
  vip.protocol = ReadProtocol(message.protocol(), path("protocol"), problems);
  vip.ports = ReadPorts(message, field, problems);
  vip.pool = message.pool();
  vip.mode = ReadEnum(message.mode(), kModes, v1::ForwardingMode_Name<v1::ForwardingMode>, "forwarding mode",
                      path("mode"), problems);
  if (config::IsGue(vip.mode)) vip.gue_port = config::kDefaultGuePort;
  if (message.has_gue_port()) vip.gue_port = ReadPort(message.gue_port(), path("gue_port"), problems);
  vip.hash =
      ReadEnum(message.hash(), kHashInputs, v1::HashInput_Name<v1::HashInput>, "hash input", path("hash"), problems);
  vip.tracking =
      ReadEnum(message.connection_tracking(), kTrackings, v1::ConnectionTracking_Name<v1::ConnectionTracking>,
               "connection tracking", path("connection_tracking"), problems);
  ReadConsistency(message, field, &vip, problems);
  vip.second_chance = message.second_chance();
  vip.quic = message.quic();
  if (message.has_answer_echo()) vip.answer_echo = message.answer_echo();
  vip.proxy_protocol = ReadEnum(message.proxy_protocol(), kProxyProtocols, v1::ProxyProtocol_Name<v1::ProxyProtocol>,
                                "PROXY protocol", path("proxy_protocol"), problems);
  if (message.has_clamp_mss()) vip.clamp_mss = message.clamp_mss();
  vip.timeouts = ReadTimeouts(message.timeouts());
  return vip;
}

}  // namespace

absl::StatusOr<config::ServiceConfig> FromProto(const v1::DesiredState& message) {
  Problems problems;
  config::ServiceConfig services;
  services.seed = message.seed();
  for (int i = 0; i < message.pools_size(); ++i) {
    const std::string field = config::IndexPath("services.pools", static_cast<size_t>(i));
    services.pools.push_back(ReadPool(message.pools(i), field, problems));
  }
  for (int i = 0; i < message.vips_size(); ++i) {
    const std::string field = config::IndexPath("services.vips", static_cast<size_t>(i));
    services.vips.push_back(ReadVip(message.vips(i), field, problems));
  }
  for (const v1::CookieKey& key : message.cookie_keys()) services.cookie_keys.push_back({key.number(), key.secret()});
  for (const v1::QuicConfig& quic : message.quic_configs()) {
    services.quic_configs.push_back({.number = quic.number(),
                                     .server_id_bytes = quic.server_id_bytes(),
                                     .nonce_bytes = quic.nonce_bytes(),
                                     .encrypted = quic.encrypted(),
                                     .secret = quic.secret()});
  }
  if (message.has_cookie_quarantine_s()) services.cookie_quarantine_s = message.cookie_quarantine_s();
  if (absl::Status status = config::ToStatus(problems); !status.ok()) return status;
  return services;
}

absl::StatusOr<config::BackendConfig> FromProto(const v1::Backend& message, std::string_view field) {
  Problems problems;
  config::BackendConfig backend = ReadBackend(message, field, problems);
  if (absl::Status status = config::ToStatus(problems); !status.ok()) return status;
  return backend;
}

absl::StatusOr<config::PoolConfig> FromProto(const v1::Pool& message, std::string_view field) {
  Problems problems;
  config::PoolConfig pool = ReadPool(message, field, problems);
  if (absl::Status status = config::ToStatus(problems); !status.ok()) return status;
  return pool;
}

absl::StatusOr<config::VipConfig> FromProto(const v1::Vip& message, std::string_view field) {
  Problems problems;
  config::VipConfig vip = ReadVip(message, field, problems);
  if (absl::Status status = config::ToStatus(problems); !status.ok()) return status;
  return vip;
}

void ToProto(const config::BackendConfig& backend, v1::Backend* message) {
  message->set_name(backend.name);
  message->set_address(backend.address.ToString());
  message->set_weight(backend.weight);
  if (backend.port.has_value()) message->set_port(*backend.port);
  if (backend.drain.has_value()) message->set_drain(*backend.drain);
  if (backend.cookie_id.has_value()) message->set_cookie_id(*backend.cookie_id);
  for (const std::string& id : backend.quic_server_ids) message->add_quic_server_ids(id);
}

void ToProto(const config::VipConfig& vip, v1::Vip* message) {
  message->set_name(vip.name);
  message->set_address(config::AddressText(vip.prefix));
  message->set_protocol(vip.protocol == config::Protocol::kUdp ? v1::PROTOCOL_UDP : v1::PROTOCOL_TCP);
  if (vip.ports.is_all()) {
    message->set_all_ports(true);
  } else if (vip.ports.is_single()) {
    message->set_port(vip.ports.first);
  } else {
    message->mutable_ports()->set_first(vip.ports.first);
    message->mutable_ports()->set_last(vip.ports.last);
  }
  message->set_pool(vip.pool);
  message->set_mode(EnumOf(vip.mode, kModes));
  if (vip.gue_port) message->set_gue_port(*vip.gue_port);
  message->set_hash(EnumOf(vip.hash, kHashInputs));
  message->set_connection_tracking(EnumOf(vip.tracking, kTrackings));
  message->set_consistency(EnumOf(config::ConsistencyOf(vip), kConsistencies));
  if (vip.cookie) ToProto(*vip.cookie, message->mutable_cookie());
  message->set_second_chance(vip.second_chance);
  message->set_quic(vip.quic);
  message->set_answer_echo(vip.answer_echo);
  message->set_proxy_protocol(EnumOf(vip.proxy_protocol, kProxyProtocols));
  message->set_clamp_mss(vip.clamp_mss);
  if (vip.timeouts != config::VipTimeoutsConfig()) ToProto(vip.timeouts, message->mutable_timeouts());
}

void ToProto(const config::PoolConfig& pool, v1::Pool* message) {
  message->set_name(pool.name);
  message->set_table_size(pool.table_size);
  message->set_on_down(EnumOf(pool.policy.on_down, kOnDowns));
  message->set_no_backend(EnumOf(pool.policy.no_backend, kNoBackends));
  message->set_backup(pool.policy.backup);
  message->set_policy(EnumOf(pool.policy.scheduling, kSchedulings));
  message->set_panic_threshold_percent(pool.policy.panic_threshold_percent);
  message->set_slow_start_s(pool.policy.slow_start_s);
  message->set_slow_start_steps(pool.policy.slow_start_steps);
  message->set_weight_by_load(pool.policy.weight_by_load);
  message->set_weight_floor_percent(pool.policy.weight_floor_percent);
  if (pool.health_check) ToProto(*pool.health_check, message->mutable_health_check());
  for (const config::BackendConfig& backend : pool.backends) ToProto(backend, message->add_backends());
}

void ToProto(const config::ServiceConfig& services, v1::DesiredState* message) {
  message->set_seed(services.seed);
  for (const config::PoolConfig& pool : services.pools) ToProto(pool, message->add_pools());
  for (const config::VipConfig& vip : services.vips) ToProto(vip, message->add_vips());
  for (const config::CookieKeyConfig& key : services.cookie_keys) {
    v1::CookieKey* out = message->add_cookie_keys();
    out->set_number(key.number);
    out->set_secret(key.secret);
  }
  message->set_cookie_quarantine_s(services.cookie_quarantine_s);
  for (const config::QuicConfig& quic : services.quic_configs) {
    v1::QuicConfig* out = message->add_quic_configs();
    out->set_number(quic.number);
    out->set_server_id_bytes(quic.server_id_bytes);
    out->set_nonce_bytes(quic.nonce_bytes);
    out->set_encrypted(quic.encrypted);
    out->set_secret(quic.secret);
  }
}

}  // namespace sluice::rpc
