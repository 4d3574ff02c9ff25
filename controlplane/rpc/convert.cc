#include "controlplane/rpc/convert.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/problem.h"
#include "config/text.h"
#include "sluice/v1/types.pb.h"

namespace sluice::rpc {
namespace {

using Problems = std::vector<config::Problem>;

net::IpAddress ReadAddress(const std::string& text, const std::string& field, Problems& problems) {
  const std::optional<net::IpAddress> address = net::IpAddress::Parse(text);
  if (address.has_value()) return *address;
  problems.push_back({field, text.empty() ? std::string("is missing; give an IPv4 or IPv6 address")
                                          : config::Cat(config::Quote(text),
                                                        " is not an IP address; write it like "
                                                        "192.0.2.1 or 2001:db8::1, without a prefix "
                                                        "length")});
  return {};
}

config::BackendConfig ReadBackend(const v1::Backend& message, std::string_view field, Problems& problems) {
  config::BackendConfig backend;
  backend.name = message.name();
  backend.address = ReadAddress(message.address(), config::KeyPath(field, "address"), problems);
  if (message.has_weight()) backend.weight = message.weight();
  if (message.has_drain()) backend.drain = message.drain();
  return backend;
}

config::PoolConfig ReadPool(const v1::Pool& message, std::string_view field, Problems& problems) {
  config::PoolConfig pool;
  pool.name = message.name();
  if (message.table_size() != 0) pool.table_size = message.table_size();
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

config::ForwardingMode ReadMode(v1::ForwardingMode mode, const std::string& field, Problems& problems) {
  switch (mode) {
    case v1::FORWARDING_MODE_L2:
      return config::ForwardingMode::kL2;
    case v1::FORWARDING_MODE_IPIP:
      return config::ForwardingMode::kIpip;
    default:
      problems.push_back({field, config::Cat(static_cast<int>(mode),
                                             " is no forwarding mode that this version knows; give "
                                             "FORWARDING_MODE_L2 or FORWARDING_MODE_IPIP")});
      return config::ForwardingMode::kL2;
  }
}

config::VipConfig ReadVip(const v1::Vip& message, std::string_view field, Problems& problems) {
  config::VipConfig vip;
  vip.name = message.name();
  vip.address = ReadAddress(message.address(), config::KeyPath(field, "address"), problems);
  vip.protocol = ReadProtocol(message.protocol(), config::KeyPath(field, "protocol"), problems);
  if (message.port() > std::numeric_limits<uint16_t>::max()) {
    problems.push_back({config::KeyPath(field, "port"),
                        config::Cat(message.port(), " is out of range; give a whole number from 1 to 65535")});
  } else {
    vip.port = static_cast<uint16_t>(message.port());
  }
  vip.pool = message.pool();
  vip.mode = ReadMode(message.mode(), config::KeyPath(field, "mode"), problems);
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
  if (absl::Status status = config::ToStatus(problems); !status.ok()) return status;
  return services;
}

absl::StatusOr<config::BackendConfig> FromProto(const v1::Backend& message, std::string_view field) {
  Problems problems;
  config::BackendConfig backend = ReadBackend(message, field, problems);
  if (absl::Status status = config::ToStatus(problems); !status.ok()) return status;
  return backend;
}

void ToProto(const config::BackendConfig& backend, v1::Backend* message) {
  message->set_name(backend.name);
  message->set_address(backend.address.ToString());
  message->set_weight(backend.weight);
  if (backend.drain.has_value()) message->set_drain(*backend.drain);
}

void ToProto(const config::VipConfig& vip, v1::Vip* message) {
  message->set_name(vip.name);
  message->set_address(vip.address.ToString());
  message->set_protocol(vip.protocol == config::Protocol::kUdp ? v1::PROTOCOL_UDP : v1::PROTOCOL_TCP);
  message->set_port(vip.port);
  message->set_pool(vip.pool);
  message->set_mode(vip.mode == config::ForwardingMode::kIpip ? v1::FORWARDING_MODE_IPIP : v1::FORWARDING_MODE_L2);
}

void ToProto(const config::ServiceConfig& services, v1::DesiredState* message) {
  message->set_seed(services.seed);
  for (const config::PoolConfig& pool : services.pools) {
    v1::Pool* out = message->add_pools();
    out->set_name(pool.name);
    out->set_table_size(pool.table_size);
    for (const config::BackendConfig& backend : pool.backends) ToProto(backend, out->add_backends());
  }
  for (const config::VipConfig& vip : services.vips) ToProto(vip, message->add_vips());
}

}  // namespace sluice::rpc
