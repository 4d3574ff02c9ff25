#include <bit>
#include <map>
#include <set>

#include "config/limits.h"
#include "config/rules.h"
#include "config/text.h"
#include "config/validate.h"
#include "config/validate_api.h"
#include "config/validate_nat.h"

namespace sluice::config {
namespace {

constexpr uint16_t kMetricsPort = 9105;

std::string PortPath(size_t port) { return IndexPath("node.ports", port); }

// What DPDK knows a device by: the string up to the arguments, and a PCI address with its domain.
std::string DeviceIdentity(std::string_view device) {
  const std::string_view name = device.substr(0, device.find(','));
  constexpr size_t kShortPciLength = 7;  // 03:00.0
  const bool short_pci = name.size() == kShortPciLength && name[2] == ':' && name[5] == '.';
  return short_pci ? Cat("0000:", name) : std::string(name);
}

// Device -> the port that has it first.
using DeviceOwners = StringMap<std::string>;

void CheckDevices(const PortConfig& port, const std::string& path, uint32_t workers, DeviceOwners* owners,
                  ProblemList* problems) {
  const std::string field = path + ".devices";
  if (port.devices.empty()) {
    problems->Add(field, Cat("port ", Quote(port.name),
                             " has no device; give a PCI address like \"0000:03:00.0\" or a virtual device like "
                             "\"net_af_packet0,iface=eth0\""));
  } else if (port.devices.size() != 1 && port.devices.size() != workers) {
    problems->Add(
        field, Cat("port ", Quote(port.name), " has ", port.devices.size(), " devices for ", workers,
                   workers == 1 ? " worker" : " workers", "; give one device, or as many as node.workers.count says"));
  }
  for (size_t i = 0; i < port.devices.size(); ++i) {
    const std::string& device = port.devices[i];
    const std::string identity = DeviceIdentity(device);
    if (identity.empty() || device.find_first_of(" \t\r\n") != std::string::npos) {
      problems->Add(
          IndexPath(field, i),
          Cat("device ", Quote(device), " of port ", Quote(port.name),
              identity.empty() ? " is empty" : " has a blank in it",
              "; give a PCI address like \"0000:03:00.0\" or a virtual device like \"net_af_packet0,iface=eth0\""));
      continue;
    }
    const auto [owner, is_new] = owners->emplace(identity, port.name);
    if (!is_new) {
      problems->Add(IndexPath(field, i), Cat("device ", Quote(identity), " is used twice, first by port ",
                                             Quote(owner->second), "; number virtual devices, like net_af_packet1"));
    }
  }
}

// The address of the network itself or its broadcast address, which no host can have.
bool IsNetworkOrBroadcast(const net::IpPrefix& prefix) {
  if (!prefix.address.is_v4() || prefix.length > 30) return false;
  const uint32_t host_mask = prefix.length == 0 ? 0xffffffff : (uint32_t{1} << (32 - prefix.length)) - 1;
  const uint32_t host = prefix.address.v4().Host() & host_mask;
  return host == 0 || host == host_mask;
}

// Address -> the port that has it first.
using AddressOwners = std::map<net::IpAddress, std::string>;

void CheckAddresses(const PortConfig& port, const std::string& path, AddressOwners* owners, ProblemList* problems) {
  for (size_t i = 0; i < port.addresses.size(); ++i) {
    const net::IpPrefix& prefix = port.addresses[i];
    const std::string field = IndexPath(path + ".addresses", i);
    // Link-local addresses are fine for an interface, other than for what is reached through routers.
    const auto wrong = prefix.address.IsLinkLocal() ? std::nullopt : CheckHostAddress(prefix.address);
    if (wrong) {
      problems->Add(field, *wrong);
      continue;
    }
    if (prefix.length < 1) {
      problems->Add(field, Cat(Quote(prefix.ToString()),
                               " makes every address on link; give the length of the network's prefix"));
    } else if (IsNetworkOrBroadcast(prefix)) {
      problems->Add(field,
                    Cat(Quote(prefix.ToString()),
                        " is the address of a network and not of a host in it; give this machine's own address"));
    }
    const auto [owner, is_new] = owners->emplace(prefix.address, port.name);
    if (!is_new) {
      problems->Add(field, Cat("address ", prefix.address.ToString(), " is given twice, first to port ",
                               Quote(owner->second), "; remove one of them"));
    }
  }
}

bool IsOnLink(const PortConfig& port, const net::IpAddress& address) {
  if (!address.is_v4() && address.IsLinkLocal()) return true;
  for (const net::IpPrefix& prefix : port.addresses) {
    if (prefix.Contains(address)) return true;
  }
  return false;
}

// Family -> the port that has the default gateway.
using GatewayOwners = std::map<net::Family, std::string>;

void CheckGateways(const PortConfig& port, const std::string& path, GatewayOwners* owners, ProblemList* problems) {
  for (size_t i = 0; i < port.gateways.size(); ++i) {
    const net::IpAddress& gateway = port.gateways[i];
    const std::string field = IndexPath(path + ".gateways", i);
    const auto wrong = !gateway.is_v4() && gateway.IsLinkLocal() ? std::nullopt : CheckHostAddress(gateway);
    if (wrong) {
      problems->Add(field, *wrong);
      continue;
    }
    const auto [owner, is_new] = owners->emplace(gateway.family(), port.name);
    if (!is_new) {
      problems->Add(field, Cat("a second default gateway for ", FamilyName(gateway.family()), ", ", gateway.ToString(),
                               ": port ", Quote(owner->second),
                               " has one; keep one for each family and add other routes in the host's kernel"));
    }
    bool is_own = false;
    for (const net::IpPrefix& prefix : port.addresses) is_own = is_own || prefix.address == gateway;
    if (is_own) {
      problems->Add(field, Cat("gateway ", gateway.ToString(), " is port ", Quote(port.name),
                               "'s own address; give the router's"));
    } else if (!port.gateway_mac && !IsOnLink(port, gateway)) {
      problems->Add(field, Cat("gateway ", gateway.ToString(), " is in no network of port ", Quote(port.name),
                               "'s addresses; correct one of them, or set gateway_mac"));
    }
  }
  if (port.gateway_mac && (port.gateway_mac->IsZero() || port.gateway_mac->IsMulticast())) {
    problems->Add(path + ".gateway_mac", Cat("MAC address ", port.gateway_mac->ToString(), " is ",
                                             port.gateway_mac->IsZero() ? "zero" : "a group address",
                                             " and no router's; give the router's own"));
  }
}

void CheckSizes(const PortConfig& port, const std::string& path, uint32_t mbuf_data_bytes, ProblemList* problems) {
  const std::string of_port = Cat(" of port ", Quote(port.name));
  const std::string mtu = Cat("mtu ", port.mtu_bytes, of_port);
  problems->CheckRange(path + ".mtu", mtu, port.mtu_bytes, limits::kMtuBytes);
  if (limits::kMtuBytes.Contains(port.mtu_bytes)) {
    for (const net::IpPrefix& prefix : port.addresses) {
      if (prefix.address.is_v4() || port.mtu_bytes >= limits::kMinIpv6MtuBytes) continue;
      problems->Add(path + ".mtu", Cat(mtu, " is too small for its IPv6 address ", prefix.address.ToString(),
                                       "; give at least ", limits::kMinIpv6MtuBytes));
      break;
    }
    const uint32_t frame = port.mtu_bytes + limits::kFrameOverheadBytes;
    if (limits::kMbufDataBytes.Contains(mbuf_data_bytes) && mbuf_data_bytes < frame) {
      constexpr uint32_t kStep = 1024;  // what many devices count receive buffers in
      problems->Add(path + ".mtu",
                    Cat(mtu, " makes frames of up to ", frame, " bytes, and node.memory.mbuf_data_bytes is ",
                        mbuf_data_bytes, "; set that to ", (frame + kStep - 1) / kStep * kStep));
    }
  }
  const auto check_descriptors = [&](std::string_view key, uint32_t count) {
    if (limits::kDescriptors.Contains(count) && std::has_single_bit(count)) return;
    problems->Add(KeyPath(path, key), Cat(key, " ", count, of_port, " is not allowed; give a power of two from ",
                                          limits::kDescriptors.min, " to ", limits::kDescriptors.max));
  };
  check_descriptors("rx_descriptors", port.rx_descriptors);
  check_descriptors("tx_descriptors", port.tx_descriptors);
}

void CheckException(const PortConfig& port, const std::string& path, StringMap<std::string>* owners,
                    ProblemList* problems) {
  const ExceptionPortConfig& exception = port.exception;
  const std::string field = path + ".exception.interface";
  if (exception.interface.empty()) {
    if (exception.enabled) {
      problems->Add(field,
                    Cat("port ", Quote(port.name),
                        " has no name for its exception interface; write \"exception: {interface: sluice-wan}\", or "
                        "\"exception: {enabled: false}\" to keep the host's kernel out"));
    }
    return;
  }
  if (const auto wrong = CheckInterfaceName(exception.interface)) {
    problems->Add(field, *wrong);
    return;
  }
  const auto [owner, is_new] = owners->emplace(exception.interface, port.name);
  if (!is_new) {
    problems->Add(field, Cat("interface ", Quote(exception.interface), " is that of port ", Quote(owner->second),
                             " already; give each port its own"));
  }
}

void CheckPorts(const NodeConfig& node, ProblemList* problems) {
  if (node.ports.empty()) {
    problems->Add("node.ports", "there is no port; give at least one, with a name and a device");
  } else if (node.ports.size() > limits::kPorts) {
    problems->Add("node.ports",
                  Cat("there are ", node.ports.size(), " ports; at most ", limits::kPorts, " are possible"));
  }
  StringSet names;
  DeviceOwners devices;
  AddressOwners addresses;
  GatewayOwners gateways;
  StringMap<std::string> interfaces;
  for (size_t i = 0; i < node.ports.size(); ++i) {
    const PortConfig& port = node.ports[i];
    const std::string path = PortPath(i);
    problems->AddIf(path + ".name", CheckName(port.name));
    if (!names.insert(port.name).second && !port.name.empty()) {
      problems->Add(path + ".name",
                    Cat("there are two ports with the name ", Quote(port.name), "; rename one of them"));
    }
    CheckDevices(port, path, node.workers.count, &devices, problems);
    CheckAddresses(port, path, &addresses, problems);
    CheckGateways(port, path, &gateways, problems);
    CheckSizes(port, path, node.memory.mbuf_data_bytes, problems);
    CheckException(port, path, &interfaces, problems);
  }
}

void CheckWorkers(const WorkersConfig& workers, ProblemList* problems) {
  problems->CheckRange("node.workers.count", Cat("count ", workers.count, " of workers"), workers.count,
                       limits::kWorkers);
  if (!workers.cpus.empty() && workers.cpus.size() != workers.count) {
    problems->Add("node.workers.cpus",
                  Cat("there are ", workers.cpus.size(), " CPUs for ", workers.count,
                      workers.count == 1 ? " worker" : " workers", "; give one for each, or leave cpus out"));
  }
  std::set<uint32_t> seen;
  for (size_t i = 0; i < workers.cpus.size(); ++i) {
    const std::string field = IndexPath("node.workers.cpus", i);
    problems->CheckRange(field, Cat("CPU ", workers.cpus[i]), workers.cpus[i], limits::kCpu);
    if (!seen.insert(workers.cpus[i]).second) {
      problems->Add(field, Cat("CPU ", workers.cpus[i], " is given twice; give each worker its own"));
    }
  }
}

void CheckTablesAndTimeouts(const NodeConfig& node, ProblemList* problems) {
  const auto check = [&](std::string_view section, std::string_view key, uint32_t value, const Range& range) {
    problems->CheckRange(Cat("node.", section, ".", key), Cat(key, " ", value), value, range);
  };
  if (node.memory.mbufs != 0 && !limits::kMbufs.Contains(node.memory.mbufs)) {
    problems->Add("node.memory.mbufs",
                  OutOfRange(Cat("mbufs ", node.memory.mbufs), limits::kMbufs) + ", or 0 to have it computed");
  }
  check("memory", "mbuf_data_bytes", node.memory.mbuf_data_bytes, limits::kMbufDataBytes);
  check("tables", "connections_v4", node.tables.connections_v4, limits::kConnections);
  check("tables", "connections_v6", node.tables.connections_v6, limits::kConnections);
  check("tables", "connections_wide", node.tables.connections_wide, limits::kConnections);
  check("tables", "connections_stateful", node.tables.connections_stateful, limits::kConnections);
  check("timeouts", "tcp_syn_s", node.timeouts.tcp_syn_s, limits::kTimeoutS);
  check("timeouts", "tcp_established_s", node.timeouts.tcp_established_s, limits::kTimeoutS);
  check("timeouts", "tcp_closing_s", node.timeouts.tcp_closing_s, limits::kTimeoutS);
  check("timeouts", "tcp_reset_s", node.timeouts.tcp_reset_s, limits::kTimeoutS);
  check("timeouts", "udp_s", node.timeouts.udp_s, limits::kTimeoutS);
  problems->CheckRange("node.answers_per_s", Cat("answers_per_s ", node.answers_per_s), node.answers_per_s,
                       limits::kAnswersPerS);
  problems->CheckRange("node.copies_per_s", Cat("copies_per_s ", node.copies_per_s), node.copies_per_s,
                       limits::kCopiesPerS);
  check("punt", "rate_limit_pps", node.punt.rate_limit_pps, limits::kPuntRatePps);
}

void CheckTunnelSource(std::string_view key, const std::optional<net::IpPrefix>& source, net::Family family,
                       ProblemList* problems) {
  if (!source) return;
  const std::string field = Cat("node.tunnels.", key);
  if (source->address.family() != family) {
    problems->Add(field, Cat(key, " ", source->ToString(), " is an ", FamilyName(source->address.family()),
                             " prefix; give an ", FamilyName(family), " prefix"));
  } else if (const auto wrong = CheckHostPrefix(*source)) {
    problems->Add(field, *wrong);
  } else if (source->length == source->address.bits()) {
    problems->Add(field, Cat(key, " ", source->ToString(),
                             " is a single address, and leaves nothing that could vary by flow; give a shorter "
                             "prefix, or remove it to send from the port's address"));
  }
}

void CheckFragments(const FragmentsConfig& fragments, ProblemList* problems) {
  problems->CheckRange("node.fragments.packets", Cat("packets ", fragments.packets), fragments.packets,
                       limits::kFragmentedPackets);
  problems->CheckRange("node.fragments.held", Cat("held ", fragments.held), fragments.held, limits::kFragmentsHeld);
  problems->CheckRange("node.fragments.timeout_s", Cat("timeout_s ", fragments.timeout_s), fragments.timeout_s,
                       limits::kFragmentTimeoutS);
}

void CheckManagementPorts(const PuntConfig& punt, ProblemList* problems) {
  if (punt.management_ports.size() > limits::kManagementPorts) {
    problems->Add("node.punt.management_ports",
                  Cat("there are ", punt.management_ports.size(), " management ports; at most ",
                      limits::kManagementPorts, " are possible"));
  }
  std::set<uint16_t> seen;
  for (size_t i = 0; i < punt.management_ports.size(); ++i) {
    const uint16_t port = punt.management_ports[i];
    const std::string field = IndexPath("node.punt.management_ports", i);
    problems->CheckRange(field, Cat("port ", port), port, limits::kL4Port);
    if (!seen.insert(port).second) problems->Add(field, Cat("port ", port, " is given twice; remove one of them"));
  }
}

}  // namespace

std::vector<Problem> ValidateNode(const NodeConfig& node) {
  ProblemList problems;
  problems.AddIf("node.name", CheckName(node.name));
  if (node.tier_id) problems.CheckRange("node.tier_id", Cat("tier_id ", *node.tier_id), *node.tier_id, limits::kTierId);
  CheckPorts(node, &problems);
  CheckWorkers(node.workers, &problems);
  CheckTablesAndTimeouts(node, &problems);
  CheckTunnelSource("source_v4", node.tunnels.source_v4, net::Family::kIpv4, &problems);
  CheckTunnelSource("source_v6", node.tunnels.source_v6, net::Family::kIpv6, &problems);
  CheckNatOfNode(node, &problems);
  CheckFragments(node.fragments, &problems);
  CheckManagementPorts(node.punt, &problems);
  if (!node.health.command_directory.starts_with('/')) {
    problems.Add("node.health.command_directory",
                 Cat("command_directory ", Quote(node.health.command_directory), " is no absolute path"));
  }
  if (node.health.source_ports.is_all() || node.health.source_ports.first > node.health.source_ports.last) {
    problems.Add("node.health.source_ports", Cat("source_ports ", PortsText(node.health.source_ports),
                                                 " of health checks is no range of ports that are nobody else's; "
                                                 "write it like 61000-65535"));
  }
  CheckApi(node, &problems);
  problems.AddIf("node.metrics.listen", CheckListen(node.metrics.listen, kMetricsPort));
  if (node.metrics.enabled && node.metrics.listen == node.api.listen) {
    problems.Add("node.metrics.listen",
                 Cat(Quote(node.metrics.listen), " is where the API listens; give the metrics another port"));
  }
  return problems.Take();
}

}  // namespace sluice::config
