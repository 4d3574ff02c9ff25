#include "dataplane/runtime/port.h"

#include <net/if.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "dataplane/base/log.h"
#include "dataplane/runtime/devargs.h"
#include "dataplane/runtime/xdp_queues.h"

namespace sluice::runtime {

absl::StatusOr<std::unique_ptr<Port>> Port::Probe(PortId id, const PortOptions& options, uint32_t workers,
                                                  bool rx_interrupts, bool single_pool) {
  if (options.devices.size() != 1 && options.devices.size() != workers) {
    return absl::InvalidArgumentError(absl::StrCat("port ", options.name, ": it has ", options.devices.size(),
                                                   " devices for ", workers,
                                                   " workers: give one device, or one for "
                                                   "each worker"));
  }
  std::unique_ptr<Port> port(new Port(id, options));
  for (const std::string& devargs : options.devices) {
    DeviceOptions device{.port_name = options.name,
                         .devargs = devargs,
                         .queues = options.devices.size() == 1 ? workers : 1,
                         .rx_descriptors = options.rx_descriptors,
                         .tx_descriptors = options.tx_descriptors,
                         .mtu_bytes = options.mtu_bytes,
                         .rx_interrupts = rx_interrupts,
                         .single_pool = single_pool};
    absl::StatusOr<std::unique_ptr<Device>> probed = Device::Probe(device);
    if (!probed.ok()) return probed.status();
    port->devices_.push_back(*std::move(probed));
  }
  WarnOfUncoveredQueues(options.name, options.devices, options.devices.size() == 1 ? workers : 1);
  return port;
}

std::vector<int> Port::sockets() const {
  std::vector<int> sockets;
  for (const auto& device : devices_) sockets.push_back(device->socket());
  return sockets;
}

absl::Status Port::Start(const std::map<int, MbufPool>& pools) {
  for (const auto& device : devices_) {
    if (absl::Status status = device->Configure(pools.at(device->socket()).get()); !status.ok()) return status;
    if (absl::Status status = device->Start(); !status.ok()) return status;
  }
  WarnOfSharedInterfaces();
  return absl::OkStatus();
}

void Port::Stop() {
  for (const auto& device : devices_) device->Stop();
}

// AF_PACKET copies each frame: the kernel's own stack works on the original too. It would answer ARP and TCP for the
// addresses that stand on the exception port, beside the exception port's own answer (Linux answers on any interface
// for an address of another). sluiced does not touch the host's packet filter; it says what is needed. The ingress
// hook of a netdev table comes after AF_PACKET has taken its copy.
void Port::WarnOfSharedInterfaces() const {
  for (const auto& device : devices_) {
    if (!IsDriver(device->devargs(), "net_af_packet") && !IsDriver(device->devargs(), "eth_af_packet")) continue;
    std::array<char, IF_NAMESIZE> name{};
    if (if_indextoname(device->kernel_interface(), name.data()) == nullptr) continue;
    SLUICE_LOG(kInfo) << "port " << options_.name << ": the kernel's own stack sees the frames of " << name.data()
                      << " too and would answer twice for the host's addresses. Unless it is done: nft 'table netdev "
                         "sluice { chain ingress { type filter hook ingress device \""
                      << name.data() << "\" priority 0; policy drop; }; }', and no addresses on " << name.data();
    return;
  }
}

bool Port::rx_interrupts() const {
  return std::all_of(devices_.begin(), devices_.end(), [](const auto& device) { return device->rx_interrupts(); });
}

PortQueue Port::QueueOf(uint32_t worker) const {
  if (devices_.size() == 1) {
    const Device& device = *devices_.front();
    return {.device = device.id(), .queue = static_cast<uint16_t>(worker), .can_receive = worker < device.rx_queues()};
  }
  const Device& device = *devices_[worker];
  return {.device = device.id(), .queue = 0, .can_receive = device.rx_queues() > 0};
}

stage::PortTraits Port::Traits() const {
  stage::PortTraits traits;
  traits.mac = mac();
  traits.mtu_bytes = options_.mtu_bytes;
  traits.tx_ipv4_checksum =
      std::all_of(devices_.begin(), devices_.end(), [](const auto& device) { return device->tx_ipv4_checksum(); });
  traits.has_exception_port = !options_.exception_interface.empty();
  traits.SetAddresses(options_.addresses);
  return traits;
}

std::optional<RssSetup> Port::Rss() const {
  if (devices_.size() != 1) return std::nullopt;
  return ReadRss(devices_.front()->id(), devices_.front()->rx_queues());
}

fwd::PortStats Port::Stats() const {
  fwd::PortStats stats;
  stats.id = id_;
  stats.name = options_.name;
  stats.devices = options_.devices;
  stats.mac = mac();
  stats.link_up = true;
  stats.mtu_bytes = options_.mtu_bytes;
  stats.exception_interface = options_.exception_interface;
  for (const auto& device : devices_) {
    stats.rx_queues += device->rx_queues();
    rte_eth_link link{};
    const bool known = rte_eth_link_get_nowait(device->id(), &link) == 0;
    stats.link_up = stats.link_up && known && link.link_status == RTE_ETH_LINK_UP;
    if (known && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN) {
      stats.link_speed_mbps = std::max(stats.link_speed_mbps, link.link_speed);
    }
    rte_eth_stats counters{};
    if (rte_eth_stats_get(device->id(), &counters) != 0) continue;
    stats.rx_missed += counters.imissed;
    stats.rx_errors += counters.ierrors;
    stats.rx_no_buffer += counters.rx_nombuf;
  }
  return stats;
}

}  // namespace sluice::runtime
