#include "controlplane/app/node_diff.h"

#include <string_view>

#include "controlplane/model/text.h"

namespace sluice::app {
namespace {

using model::Cat;

class Differences {
 public:
  template <typename T>
  void Compare(std::string_view path, const T& running, const T& wanted) {
    if (!(running == wanted)) paths_.push_back(std::string(path));
  }
  std::vector<std::string> Take() && { return std::move(paths_); }

 private:
  std::vector<std::string> paths_;
};

void ComparePort(const std::string& path, const config::PortConfig& running, const config::PortConfig& wanted,
                 Differences& out) {
  out.Compare(path + ".name", running.name, wanted.name);
  out.Compare(path + ".devices", running.devices, wanted.devices);
  out.Compare(path + ".addresses", running.addresses, wanted.addresses);
  out.Compare(path + ".gateways", running.gateways, wanted.gateways);
  out.Compare(path + ".gateway_mac", running.gateway_mac, wanted.gateway_mac);
  out.Compare(path + ".mtu", running.mtu_bytes, wanted.mtu_bytes);
  out.Compare(path + ".rx_descriptors", running.rx_descriptors, wanted.rx_descriptors);
  out.Compare(path + ".tx_descriptors", running.tx_descriptors, wanted.tx_descriptors);
  out.Compare(path + ".exception.enabled", running.exception.enabled, wanted.exception.enabled);
  out.Compare(path + ".exception.interface", running.exception.interface, wanted.exception.interface);
}

}  // namespace

std::vector<std::string> DifferingNodeFields(const config::NodeConfig& running, const config::NodeConfig& wanted) {
  Differences out;
  out.Compare("node.name", running.name, wanted.name);
  out.Compare("node.tier_id", running.tier_id, wanted.tier_id);
  if (running.ports.size() != wanted.ports.size()) {
    out.Compare("node.ports", running.ports.size(), wanted.ports.size());
  } else {
    for (size_t i = 0; i < running.ports.size(); ++i) {
      ComparePort(Cat("node.ports[", i, "]"), running.ports[i], wanted.ports[i], out);
    }
  }
  out.Compare("node.workers.count", running.workers.count, wanted.workers.count);
  out.Compare("node.workers.cpus", running.workers.cpus, wanted.workers.cpus);
  out.Compare("node.workers.idle", running.workers.idle, wanted.workers.idle);
  out.Compare("node.memory.hugepages", running.memory.hugepages, wanted.memory.hugepages);
  out.Compare("node.memory.mbufs", running.memory.mbufs, wanted.memory.mbufs);
  out.Compare("node.memory.mbuf_data_bytes", running.memory.mbuf_data_bytes, wanted.memory.mbuf_data_bytes);
  out.Compare("node.tables.connections_v4", running.tables.connections_v4, wanted.tables.connections_v4);
  out.Compare("node.tables.connections_v6", running.tables.connections_v6, wanted.tables.connections_v6);
  out.Compare("node.tables.connections_wide", running.tables.connections_wide, wanted.tables.connections_wide);
  out.Compare("node.tables.nat_sessions", running.tables.nat_sessions, wanted.tables.nat_sessions);
  out.Compare("node.tables.connections_stateful", running.tables.connections_stateful,
              wanted.tables.connections_stateful);
  out.Compare("node.health.source_ports", running.health.source_ports, wanted.health.source_ports);
  out.Compare("node.health.command_directory", running.health.command_directory, wanted.health.command_directory);
  out.Compare("node.nat.local_addresses", running.nat.local_addresses, wanted.nat.local_addresses);
  out.Compare("node.nat.local_ports", running.nat.local_ports, wanted.nat.local_ports);
  out.Compare("node.fragments.packets", running.fragments.packets, wanted.fragments.packets);
  out.Compare("node.fragments.held", running.fragments.held, wanted.fragments.held);
  out.Compare("node.fragments.timeout_s", running.fragments.timeout_s, wanted.fragments.timeout_s);
  out.Compare("node.timeouts.tcp_syn_s", running.timeouts.tcp_syn_s, wanted.timeouts.tcp_syn_s);
  out.Compare("node.timeouts.tcp_established_s", running.timeouts.tcp_established_s, wanted.timeouts.tcp_established_s);
  out.Compare("node.timeouts.tcp_closing_s", running.timeouts.tcp_closing_s, wanted.timeouts.tcp_closing_s);
  out.Compare("node.timeouts.tcp_reset_s", running.timeouts.tcp_reset_s, wanted.timeouts.tcp_reset_s);
  out.Compare("node.timeouts.udp_s", running.timeouts.udp_s, wanted.timeouts.udp_s);
  out.Compare("node.tunnels.source_v4", running.tunnels.source_v4, wanted.tunnels.source_v4);
  out.Compare("node.tunnels.source_v6", running.tunnels.source_v6, wanted.tunnels.source_v6);
  out.Compare("node.answers_per_s", running.answers_per_s, wanted.answers_per_s);
  out.Compare("node.copies_per_s", running.copies_per_s, wanted.copies_per_s);
  out.Compare("node.punt.management_ports", running.punt.management_ports, wanted.punt.management_ports);
  out.Compare("node.punt.rate_limit_pps", running.punt.rate_limit_pps, wanted.punt.rate_limit_pps);
  out.Compare("node.management", running.management, wanted.management);
  out.Compare("node.state_directory", running.state_directory, wanted.state_directory);
  out.Compare("node.api.listen", running.api.listen, wanted.api.listen);
  out.Compare("node.api.tcp", running.api.tcp, wanted.api.tcp);
  out.Compare("node.api.roles", running.api.roles, wanted.api.roles);
  out.Compare("node.api.audit_log", running.api.audit_log, wanted.api.audit_log);
  out.Compare("node.metrics.enabled", running.metrics.enabled, wanted.metrics.enabled);
  out.Compare("node.metrics.listen", running.metrics.listen, wanted.metrics.listen);
  return std::move(out).Take();
}

}  // namespace sluice::app
