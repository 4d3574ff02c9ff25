#include "controlplane/app/preflight.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "controlplane/app/affinity.h"
#include "controlplane/app/dataplane_options.h"
#include "controlplane/preflight/examine.h"
#include "controlplane/preflight/gather.h"
#include "dataplane/base/log.h"
#include "dataplane/net/headers.h"
#include "dataplane/runtime/cpu_plan.h"
#include "dataplane/runtime/devargs.h"
#include "dataplane/runtime/eal.h"
#include "dataplane/runtime/inspect.h"
#include "dataplane/runtime/memory_plan.h"

namespace sluice::app {
namespace {

// The rings of net_af_packet that the driver maps locked: receive and transmit, of frames whose number and size are
// arguments of the device.
uint64_t PacketRingBytes(const std::string& device, uint32_t queues, uint32_t descriptors) {
  constexpr uint64_t kDriversFrameBytes = 2048;
  const std::string devargs = runtime::CompleteDevargs(device, queues, descriptors);
  const auto argument = [&devargs](std::string_view key, uint64_t value) {
    const std::string text = runtime::DeviceArgument(devargs, key).value_or("");
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  return 2 * queues * argument("framecnt", 0) * argument("framesz", kDriversFrameBytes);
}

// Virtual devices that work on an interface of the kernel, whose names the preflight knows.
preflight::DeviceDemand ToDeviceDemand(const std::string& device, uint32_t queues, uint32_t descriptors) {
  preflight::DeviceDemand demand;
  demand.text = device;
  demand.queues = queues;
  if (runtime::IsPciDevice(device)) {
    demand.pci_address = runtime::DeviceName(device);
    return demand;
  }
  if (runtime::IsDriver(device, "net_af_packet") || runtime::IsDriver(device, "eth_af_packet")) {
    demand.driver = "net_af_packet";
    demand.locked_bytes = PacketRingBytes(device, queues, descriptors);
  } else if (runtime::IsDriver(device, "net_af_xdp")) {
    demand.driver = "net_af_xdp";
  } else {
    demand.driver = "other";
    return demand;  // iface= means other things there: net_tap creates it
  }
  demand.interface = runtime::DeviceArgument(device, "iface").value_or("");
  return demand;
}

preflight::PortDemand ToPortDemand(const config::PortConfig& port, uint32_t workers) {
  preflight::PortDemand demand;
  demand.name = port.name;
  for (const std::string& device : port.devices) {
    demand.devices.push_back(ToDeviceDemand(device, port.devices.size() == 1 ? workers : 1,
                                            std::max(port.rx_descriptors, port.tx_descriptors)));
  }
  demand.mtu_bytes = port.mtu_bytes;
  if (port.exception.enabled) demand.exception_interface = port.exception.interface;
  demand.ipv6_addresses = std::any_of(port.addresses.begin(), port.addresses.end(),
                                      [](const net::IpPrefix& prefix) { return !prefix.address.is_v4(); });
  const auto gateway = [&port](bool v4) {
    return port.exception.enabled && std::any_of(port.gateways.begin(), port.gateways.end(),
                                                 [v4](const net::IpAddress& address) { return address.is_v4() == v4; });
  };
  demand.default_route_v4 = gateway(true);
  demand.default_route_v6 = gateway(false);
  return demand;
}

// Beyond the outer IP header.
uint32_t EncapsulationBytes(config::ForwardingMode mode) {
  switch (mode) {
    case config::ForwardingMode::kGue:
      return sizeof(net::UdpHeader) + sizeof(net::GueHeader);
    case config::ForwardingMode::kGueDirect:
      return sizeof(net::UdpHeader);
    case config::ForwardingMode::kGre:
      return sizeof(net::GreHeader);
    default:
      return 0;
  }
}

void AddTunnels(const config::ServiceConfig& services, preflight::Demand* demand) {
  constexpr std::array kTunnels = {config::ForwardingMode::kIpip, config::ForwardingMode::kGue,
                                   config::ForwardingMode::kGueDirect, config::ForwardingMode::kGre};
  for (const config::VipConfig& vip : services.vips) {
    if (std::find(kTunnels.begin(), kTunnels.end(), vip.mode) == kTunnels.end()) continue;
    for (const config::PoolConfig& pool : services.pools) {
      if (pool.name != vip.pool) continue;
      for (const config::BackendConfig& backend : pool.backends) {
        const auto ip_bytes =
            static_cast<uint32_t>(backend.address.is_v4() ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header));
        const auto name_bytes =
            static_cast<uint32_t>(sizeof(net::GueSecondChance) + (backend.address.is_v4() ? 4 : 16));
        const uint32_t bytes = ip_bytes + EncapsulationBytes(vip.mode) + (vip.second_chance ? name_bytes : 0);
        if (bytes <= demand->tunnel_bytes) continue;
        demand->tunnel_bytes = bytes;
        demand->tunnel_vip = vip.name;
      }
    }
  }
}

void AddPlans(const config::NodeConfig& node, preflight::Demand* demand) {
  const runtime::DataplaneOptions options = ToDataplaneOptions(node);
  const absl::StatusOr<std::vector<uint32_t>> allowed = runtime::AllowedCpus();
  const absl::StatusOr<runtime::CpuPlan> cpus =
      allowed.ok() ? runtime::PlanCpus(*allowed, options.worker_cpus, options.workers) : allowed.status();
  if (cpus.ok()) {
    demand->worker_cpus = cpus->worker_cpus;
  } else {
    demand->cpu_problem = std::string(cpus.status().message());
  }
  const runtime::MemoryPlan memory = runtime::PlanMemory(options);
  demand->packet_bytes = runtime::EalBytes(memory);
  demand->connection_bytes = memory.connection_bytes;
}

preflight::HugepageRule ToRule(config::MemoryConfig::Hugepages hugepages) {
  switch (hugepages) {
    case config::MemoryConfig::Hugepages::kRequire:
      return preflight::HugepageRule::kRequire;
    case config::MemoryConfig::Hugepages::kOff:
      return preflight::HugepageRule::kOff;
    case config::MemoryConfig::Hugepages::kAuto:
      break;
  }
  return preflight::HugepageRule::kAuto;
}

void AskDrivers(const config::NodeConfig& node, preflight::Facts* facts) {
  const auto reports = runtime::InspectDevices(ToDataplaneOptions(node));
  if (!reports.ok()) {
    facts->probe_problem = std::string(reports.status().message());
    return;
  }
  for (const runtime::DeviceReport& report : *reports) {
    facts->probed[report.device] = {.driver = report.driver,
                                    .max_rx_queues = report.max_rx_queues,
                                    .max_tx_queues = report.max_tx_queues,
                                    .rss = report.rss,
                                    .min_mtu_bytes = report.min_mtu_bytes,
                                    .max_mtu_bytes = report.max_mtu_bytes};
  }
}

}  // namespace

preflight::Demand ToDemand(const config::Config& config, const std::string& file) {
  const config::NodeConfig& node = config.node;
  preflight::Demand demand;
  for (const config::PortConfig& port : node.ports) demand.ports.push_back(ToPortDemand(port, node.workers.count));
  demand.workers = node.workers.count;
  demand.busy_polling = node.workers.idle == config::IdleMode::kPoll;
  demand.hugepages = ToRule(node.memory.hugepages);
  AddPlans(node, &demand);
  AddTunnels(config.services, &demand);
  demand.api_listen = node.api.listen;
  demand.api_tcp_listen = node.api.tcp.listen;
  if (node.metrics.enabled) demand.metrics_listen = node.metrics.listen;
  demand.files.push_back({.path = file, .purpose = "the configuration with the seed", .secret = true});
  const config::ApiTcpConfig& tcp = node.api.tcp;
  if (!tcp.certificate.empty()) demand.files.push_back({.path = tcp.certificate, .purpose = "the API's certificate"});
  if (!tcp.client_ca.empty()) demand.files.push_back({.path = tcp.client_ca, .purpose = "who signs the API's clients"});
  if (!tcp.key.empty()) demand.files.push_back({.path = tcp.key, .purpose = "the API's key", .secret = true});
  return demand;
}

preflight::Findings RunPreflight(const config::Config& config, const std::string& file, Probing probing) {
  AllowCpus(config.node.workers.cpus);
  const preflight::Demand demand = ToDemand(config, file);
  preflight::Facts facts = preflight::Gather(demand, {.root = "", .pmd_directory = runtime::DriverDirectory()});
  if (probing == Probing::kOpenDevices) AskDrivers(config.node, &facts);
  return preflight::Examine(demand, facts);
}

void LogFindings(const preflight::Findings& findings) {
  for (const preflight::Finding& finding : findings) {
    if (finding.severity == preflight::Severity::kOk) continue;
    const LogLevel level = finding.severity == preflight::Severity::kError ? LogLevel::kError : LogLevel::kWarning;
    std::string line = "preflight: " + finding.subject + ": " + finding.message;
    if (!finding.remedy.empty()) line += "; remedy: " + finding.remedy;
    if (LogEnabled(level)) WriteLogLine(level, line);
  }
}

}  // namespace sluice::app
