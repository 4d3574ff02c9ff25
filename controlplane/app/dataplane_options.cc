#include "controlplane/app/dataplane_options.h"

#include <utility>

#include "config/limits.h"

namespace sluice::app {
namespace {

runtime::PortOptions ToPortOptions(const config::PortConfig& port) {
  runtime::PortOptions options;
  options.name = port.name;
  options.devices = port.devices;
  options.addresses = port.addresses;
  options.gateways = port.gateways;
  options.gateway_mac = port.gateway_mac;
  options.mtu_bytes = port.mtu_bytes;
  options.rx_descriptors = port.rx_descriptors;
  options.tx_descriptors = port.tx_descriptors;
  if (port.exception.enabled) options.exception_interface = port.exception.interface;
  return options;
}

runtime::Hugepages ToHugepages(config::MemoryConfig::Hugepages hugepages) {
  switch (hugepages) {
    case config::MemoryConfig::Hugepages::kRequire:
      return runtime::Hugepages::kRequire;
    case config::MemoryConfig::Hugepages::kOff:
      return runtime::Hugepages::kOff;
    case config::MemoryConfig::Hugepages::kAuto:
      break;
  }
  return runtime::Hugepages::kAuto;
}

}  // namespace

runtime::DataplaneOptions ToDataplaneOptions(const config::NodeConfig& node) {
  runtime::DataplaneOptions options;
  for (const config::PortConfig& port : node.ports) options.ports.push_back(ToPortOptions(port));
  options.workers = node.workers.count;
  options.worker_cpus = node.workers.cpus;
  options.idle = node.workers.idle == config::IdleMode::kPoll ? runtime::IdleMode::kPoll : runtime::IdleMode::kAdaptive;
  options.hugepages = ToHugepages(node.memory.hugepages);
  options.mbufs = node.memory.mbufs;
  options.mbuf_data_bytes = node.memory.mbuf_data_bytes;
  options.connections_v4 = node.tables.connections_v4;
  options.connections_v6 = node.tables.connections_v6;
  options.connections_wide = node.tables.connections_wide;
  options.connections_stateful = node.tables.connections_stateful;
  options.nat_sessions = node.tables.nat_sessions;
  options.nat_local_addresses = node.nat.local_addresses;
  options.nat_first_port = node.nat.local_ports.first;
  options.nat_last_port = node.nat.local_ports.last;
  options.fragment_packets = node.fragments.packets;
  options.fragments_held = node.fragments.held;
  options.fragment_timeout_s = node.fragments.timeout_s;
  options.tunnel_source_v4 = node.tunnels.source_v4;
  options.tunnel_source_v6 = node.tunnels.source_v6;
  options.answers_per_s = node.answers_per_s;
  options.copies_per_s = node.copies_per_s;
  options.management_ports = node.punt.management_ports;
  options.probe_first_port = node.health.source_ports.first;
  options.probe_last_port = node.health.source_ports.last;
  // Answers to health checks: a flood of other packets must not make all backends look dead.
  for (uint32_t port = node.health.source_ports.first; port <= node.health.source_ports.last; ++port) {
    options.management_ports.push_back(static_cast<uint16_t>(port));
  }
  options.punt_rate_limit_pps = node.punt.rate_limit_pps;
  options.max_vips = static_cast<uint32_t>(config::limits::kVips);
  options.max_backends = static_cast<uint32_t>(config::limits::kBackends);
  return options;
}

}  // namespace sluice::app
