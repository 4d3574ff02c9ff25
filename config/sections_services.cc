#include "config/limits.h"
#include "config/sections.h"

namespace sluice::config {
namespace {

void ReadDrain(const YamlValue& value, std::optional<bool>* out) {
  bool drain = false;
  ReadBool(value, &drain);
  *out = drain;
}

void ReadBackend(const YamlValue& value, BackendConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("name", "web-1", &out->name, ReadText);
    map.Required("address", "192.0.2.11", &out->address, ReadAddress);
    map.Optional("weight", &out->weight, Number(limits::kWeight));
    map.Optional("drain", &out->drain, ReadDrain);
  });
}

void ReadPool(const YamlValue& value, PoolConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("name", "web", &out->name, ReadText);
    map.Optional("table_size", &out->table_size, Number(limits::kTableSize));
    map.Optional("backends", &out->backends, ListOf(ReadBackend));
  });
}

void ReadProtocol(const YamlValue& value, Protocol* out) {
  value.Word<Protocol>({{"tcp", Protocol::kTcp}, {"udp", Protocol::kUdp}}, out);
}

void ReadMode(const YamlValue& value, ForwardingMode* out) {
  value.Word<ForwardingMode>({{"l2", ForwardingMode::kL2}, {"ipip", ForwardingMode::kIpip}}, out);
}

void ReadVip(const YamlValue& value, VipConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("name", "www", &out->name, ReadText);
    map.Required("address", "203.0.113.10", &out->address, ReadAddress);
    map.Optional("protocol", &out->protocol, ReadProtocol);
    map.Required("port", "80", &out->port, Number(limits::kL4Port));
    map.Required("pool", "web", &out->pool, ReadText);
    map.Optional("mode", &out->mode, ReadMode);
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
  });
}

}  // namespace sluice::config
