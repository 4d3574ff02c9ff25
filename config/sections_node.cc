#include "config/limits.h"
#include "config/sections.h"

namespace sluice::config {
namespace {

void ReadException(const YamlValue& value, ExceptionPortConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("interface", &out->interface, ReadText);
    map.Optional("enabled", &out->enabled, ReadBool);
  });
}

void ReadPort(const YamlValue& value, PortConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("name", "wan", &out->name, ReadText);
    map.Required("devices", "[\"0000:03:00.0\"]", &out->devices, ListOf(ReadText));
    map.Optional("addresses", &out->addresses, ListOf(ReadPrefix));
    map.Optional("gateways", &out->gateways, ListOf(ReadAddress));
    map.Optional("gateway_mac", &out->gateway_mac, Set(ReadMac));
    map.Optional("mtu", &out->mtu_bytes, Number(limits::kMtuBytes));
    map.Optional("rx_descriptors", &out->rx_descriptors, Number(limits::kDescriptors));
    map.Optional("tx_descriptors", &out->tx_descriptors, Number(limits::kDescriptors));
    map.Optional("exception", &out->exception, ReadException);
  });
}

void ReadIdle(const YamlValue& value, IdleMode* out) {
  value.Word<IdleMode>({{"poll", IdleMode::kPoll}, {"adaptive", IdleMode::kAdaptive}}, out);
}

void ReadWorkers(const YamlValue& value, WorkersConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("count", &out->count, Number(limits::kWorkers));
    map.Optional("cpus", &out->cpus, ListOf(Number(limits::kCpu)));
    map.Optional("idle", &out->idle, ReadIdle);
  });
}

void ReadHugepages(const YamlValue& value, MemoryConfig::Hugepages* out) {
  using Hugepages = MemoryConfig::Hugepages;
  value.Word<Hugepages>({{"auto", Hugepages::kAuto}, {"require", Hugepages::kRequire}, {"off", Hugepages::kOff}}, out);
}

void ReadMemory(const YamlValue& value, MemoryConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("hugepages", &out->hugepages, ReadHugepages);
    map.Optional("mbufs", &out->mbufs, Number(limits::kMbufs));
    map.Optional("mbuf_data_bytes", &out->mbuf_data_bytes, Number(limits::kMbufDataBytes));
  });
}

void ReadTables(const YamlValue& value, TablesConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("connections_v4", &out->connections_v4, Number(limits::kConnections));
    map.Optional("connections_v6", &out->connections_v6, Number(limits::kConnections));
    map.Optional("connections_wide", &out->connections_wide, Number(limits::kConnections));
    map.Optional("connections_stateful", &out->connections_stateful, Number(limits::kConnections));
    map.Optional("nat_sessions", &out->nat_sessions, Number(limits::kNatSessions));
  });
}

void ReadTimeouts(const YamlValue& value, TimeoutsConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("tcp_syn_s", &out->tcp_syn_s, Number(limits::kTimeoutS));
    map.Optional("tcp_established_s", &out->tcp_established_s, Number(limits::kTimeoutS));
    map.Optional("tcp_closing_s", &out->tcp_closing_s, Number(limits::kTimeoutS));
    map.Optional("tcp_reset_s", &out->tcp_reset_s, Number(limits::kTimeoutS));
    map.Optional("udp_s", &out->udp_s, Number(limits::kTimeoutS));
  });
}

void ReadTunnels(const YamlValue& value, TunnelsConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("source_v4", &out->source_v4, Set(ReadPrefix));
    map.Optional("source_v6", &out->source_v6, Set(ReadPrefix));
  });
}

void ReadNat(const YamlValue& value, NatConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("local_addresses", &out->local_addresses, ListOf(ReadAddress));
    map.Optional("local_ports", &out->local_ports, ReadPorts);
  });
}

void ReadFragments(const YamlValue& value, FragmentsConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("packets", &out->packets, Number(limits::kFragmentedPackets));
    map.Optional("held", &out->held, Number(limits::kFragmentsHeld));
    map.Optional("timeout_s", &out->timeout_s, Number(limits::kFragmentTimeoutS));
  });
}

void ReadPunt(const YamlValue& value, PuntConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("management_ports", &out->management_ports, ListOf(Number(limits::kL4Port)));
    map.Optional("rate_limit_pps", &out->rate_limit_pps, Number(limits::kPuntRatePps));
  });
}

void ReadHealth(const YamlValue& value, HealthConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("source_ports", &out->source_ports, ReadPorts);
    map.Optional("command_directory", &out->command_directory, ReadText);
  });
}

void ReadApiTcp(const YamlValue& value, ApiTcpConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("listen", "\"192.0.2.2:9106\"", &out->listen, ReadText);
    map.Optional("certificate", &out->certificate, ReadText);
    map.Optional("key", &out->key, ReadText);
    map.Optional("client_ca", &out->client_ca, ReadText);
    map.Optional("insecure", &out->insecure, ReadBool);
  });
}

void ReadRole(const YamlValue& value, Role* out) {
  ReadEnum(value, {Role::kViewer, Role::kOperator, Role::kAdmin}, RoleName, out);
}

void ReadApiRole(const YamlValue& value, ApiRoleConfig* out) {
  value.Map([&](MapReader& map) {
    map.Required("name", "alice.example.com", &out->name, ReadText);
    map.Required("role", "viewer", &out->role, ReadRole);
    map.Optional("vips", &out->vips, ListOf(ReadText));
  });
}

void ReadManagement(const YamlValue& value, Management* out) {
  ReadEnum(value, {Management::kFile, Management::kApi, Management::kMixed}, ManagementName, out);
}

void ReadApi(const YamlValue& value, ApiConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("listen", &out->listen, ReadText);
    map.Optional("tcp", &out->tcp, ReadApiTcp);
    map.Optional("roles", &out->roles, ListOf(ReadApiRole));
    map.Optional("audit_log", &out->audit_log, ReadText);
  });
}

void ReadMetrics(const YamlValue& value, MetricsConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("enabled", &out->enabled, ReadBool);
    map.Optional("listen", &out->listen, ReadText);
  });
}

}  // namespace

void ReadNode(const YamlValue& value, NodeConfig* out) {
  value.Map([&](MapReader& map) {
    map.Optional("name", &out->name, ReadText);
    map.Optional("tier_id", &out->tier_id, Set(Number(limits::kTierId)));
    map.Optional("management", &out->management, ReadManagement);
    map.Optional("state_directory", &out->state_directory, ReadText);
    map.Required("ports", "[{name: wan, devices: [\"0000:03:00.0\"], ...}]", &out->ports, ListOf(ReadPort));
    map.Optional("workers", &out->workers, ReadWorkers);
    map.Optional("memory", &out->memory, ReadMemory);
    map.Optional("tables", &out->tables, ReadTables);
    map.Optional("timeouts", &out->timeouts, ReadTimeouts);
    map.Optional("tunnels", &out->tunnels, ReadTunnels);
    map.Optional("nat", &out->nat, ReadNat);
    map.Optional("fragments", &out->fragments, ReadFragments);
    map.Optional("answers_per_s", &out->answers_per_s, Number(limits::kAnswersPerS));
    map.Optional("copies_per_s", &out->copies_per_s, Number(limits::kCopiesPerS));
    map.Optional("punt", &out->punt, ReadPunt);
    map.Optional("health", &out->health, ReadHealth);
    map.Optional("api", &out->api, ReadApi);
    map.Optional("metrics", &out->metrics, ReadMetrics);
  });
}

}  // namespace sluice::config
