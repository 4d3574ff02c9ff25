#include "config/validate_nat.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/limits.h"
#include "config/text.h"

namespace sluice::config {
namespace {

constexpr std::string_view kAddresses = "node.nat.local_addresses";
constexpr std::string_view kPorts = "node.nat.local_ports";

// The port whose own address this is; null: none's.
const PortConfig* OwnerOf(const NodeConfig& node, const net::IpAddress& address) {
  for (const PortConfig& port : node.ports) {
    for (const net::IpPrefix& own : port.addresses) {
      if (own.address == address) return &port;
    }
  }
  return nullptr;
}

void CheckAddresses(const NodeConfig& node, ProblemList* problems) {
  std::set<net::IpAddress> seen;
  std::map<net::Family, size_t> counts;
  for (size_t i = 0; i < node.nat.local_addresses.size(); ++i) {
    const net::IpAddress& address = node.nat.local_addresses[i];
    const std::string field = IndexPath(kAddresses, i);
    if (const auto wrong = CheckHostAddress(address)) {
      problems->Add(field, *wrong);
      continue;
    }
    if (!seen.insert(address).second) {
      problems->Add(field, Cat("local address ", address.ToString(), " is given twice; remove one of them"));
      continue;
    }
    for (const PortConfig& port : node.ports) {
      if (std::find(port.gateways.begin(), port.gateways.end(), address) == port.gateways.end()) continue;
      problems->Add(field, Cat("local address ", address.ToString(), " is a gateway of port ", Quote(port.name),
                               "; give an address of this machine"));
    }
    if (++counts[address.family()] == limits::kNatLocalAddresses + 1) {
      problems->Add(field, Cat("there are more than ", limits::kNatLocalAddresses, " ", FamilyName(address.family()),
                               " local addresses; at most that many are possible"));
    }
  }
}

// The ports of sockets that this configuration knows of on the host: what they are, and the port.
std::vector<std::pair<std::string, uint16_t>> HostSockets(const NodeConfig& node, const net::IpAddress& address) {
  std::vector<std::pair<std::string, uint16_t>> sockets;
  for (const uint16_t port : node.punt.management_ports) {
    sockets.emplace_back(Cat("the management port ", port), port);
  }
  const auto add = [&](std::string_view name, std::string_view listen) {
    const auto parsed = ParseHostPort(listen);
    if (!parsed || (!parsed->host.IsUnspecified() && parsed->host != address)) return;
    sockets.emplace_back(Cat("port ", parsed->port, " of ", name), parsed->port);
  };
  if (node.metrics.enabled) add("node.metrics.listen", node.metrics.listen);
  add("node.api.listen", node.api.listen);
  return sockets;
}

// A port's own address is the host's too: what comes to its sockets must not be taken for an answer to full NAT.
void CheckSharedPorts(const NodeConfig& node, ProblemList* problems) {
  const PortRange& ports = node.nat.local_ports;
  const auto shared = std::find_if(node.nat.local_addresses.begin(), node.nat.local_addresses.end(),
                                   [&](const auto& address) { return OwnerOf(node, address) != nullptr; });
  if (shared == node.nat.local_addresses.end()) return;
  const std::string of_port = Cat(shared->ToString(), ", the address of port ", Quote(OwnerOf(node, *shared)->name));
  if (ports.first <= limits::kEphemeralPorts.max && ports.last >= limits::kEphemeralPorts.min) {
    problems->Add(std::string(kPorts),
                  Cat("local_ports ", PortsText(ports), " on ", of_port, ", contain ports that Linux gives to the ",
                      "host's own connections, ", limits::kEphemeralPorts.min, "-", limits::kEphemeralPorts.max,
                      "; write local_ports: 10000-32767, or give full NAT an address of its own"));
  }
  const PortRange& probes = node.health.source_ports;
  if (ports.first <= probes.last && ports.last >= probes.first) {
    problems->Add(std::string(kPorts),
                  Cat("local_ports ", PortsText(ports), " on ", of_port, ", contain node.health.source_ports ",
                      PortsText(probes), "; give one of them a range without the other's ports"));
  }
  for (const auto& [what, port] : HostSockets(node, *shared)) {
    if (port < ports.first || port > ports.last) continue;
    problems->Add(std::string(kPorts), Cat("local_ports ", PortsText(ports), " on ", of_port, ", contain ", what,
                                           "; give a range without it, or give full NAT an address of its own"));
  }
}

void CheckAgainstVips(const NodeConfig& node, const ServiceConfig& services, ProblemList* problems) {
  std::map<net::IpAddress, size_t> local;
  for (size_t i = 0; i < node.nat.local_addresses.size(); ++i) {
    if (!node.nat.local_addresses[i].IsUnspecified()) local.emplace(node.nat.local_addresses[i], i);
  }
  if (local.empty()) return;
  for (const VipConfig& vip : services.vips) {
    if (vip.prefix.address.IsUnspecified()) continue;
    // In the order of addresses those of a prefix stand together.
    const auto found = local.lower_bound(vip.prefix.Network().address);
    if (found == local.end() || !vip.prefix.Contains(found->first)) continue;
    problems->Add(IndexPath(kAddresses, found->second),
                  Cat("local address ", found->first.ToString(), " is one of VIP ", Quote(vip.name), ", ",
                      AddressText(vip.prefix), "; full NAT needs addresses that are no VIP's"));
  }
  for (size_t p = 0; p < services.pools.size(); ++p) {
    const PoolConfig& pool = services.pools[p];
    for (size_t b = 0; b < pool.backends.size(); ++b) {
      if (!local.contains(pool.backends[b].address)) continue;
      problems->Add(BackendPath(p, b) + ".address",
                    Cat("backend ", Quote(pool.backends[b].name), " has the address ",
                        pool.backends[b].address.ToString(), " of this node's full NAT; a backend is another machine"));
    }
  }
}

// Full NAT needs something to send from, of the backends' family.
void CheckLocalFamilies(const NodeConfig& node, const ServiceConfig& services, ProblemList* problems) {
  std::set<net::Family> families;
  for (const net::IpAddress& address : node.nat.local_addresses) families.insert(address.family());
  if (families.size() == 2) return;
  StringMap<const BackendConfig*> lacking;  // pool -> a backend of a family without a local address
  for (const PoolConfig& pool : services.pools) {
    for (const BackendConfig& backend : pool.backends) {
      if (backend.address.IsUnspecified() || families.contains(backend.address.family())) continue;
      lacking.emplace(pool.name, &backend);
      break;
    }
  }
  StringMap<std::string_view> backups;
  for (const PoolConfig& pool : services.pools) backups.emplace(pool.name, pool.policy.backup);
  for (size_t v = 0; v < services.vips.size(); ++v) {
    const VipConfig& vip = services.vips[v];
    if (vip.mode != ForwardingMode::kFullNat) continue;
    auto found = lacking.find(vip.pool);
    const auto backup = backups.find(vip.pool);
    if (found == lacking.end() && backup != backups.end()) found = lacking.find(backup->second);
    if (found == lacking.end()) continue;
    const BackendConfig& backend = *found->second;
    const std::string_view family = FamilyName(backend.address.family());
    problems->Add(VipPath(v) + ".mode", Cat("mode full-nat of VIP ", Quote(vip.name), " needs an ", family,
                                            " address to send from to backend ", Quote(backend.name), ", ",
                                            backend.address.ToString(), "; add one to ", kAddresses));
  }
}

}  // namespace

void CheckNatOfNode(const NodeConfig& node, ProblemList* problems) {
  CheckAddresses(node, problems);
  const PortRange& ports = node.nat.local_ports;
  const uint64_t count = ports.last >= ports.first ? uint64_t{ports.last} - ports.first + 1 : 0;
  if (ports.first == 0 || ports.first > ports.last) {
    problems->Add(std::string(kPorts),
                  Cat("local_ports ", PortsText(ports),
                      ports.first == 0 ? " begin at 0; begin at 1024" : " end before they begin; swap them"));
  } else if (count < node.workers.count) {
    problems->Add(std::string(kPorts), Cat("local_ports ", PortsText(ports), " are ", count, " for ",
                                           node.workers.count, " workers, each of which needs its own; give more"));
  } else {
    CheckSharedPorts(node, problems);
  }
  problems->CheckRange("node.tables.nat_sessions", Cat("nat_sessions ", node.tables.nat_sessions),
                       node.tables.nat_sessions, limits::kNatSessions);
}

void CheckNatTogether(const NodeConfig& node, const ServiceConfig& services, ProblemList* problems) {
  CheckAgainstVips(node, services, problems);
  CheckLocalFamilies(node, services, problems);
}

}  // namespace sluice::config
