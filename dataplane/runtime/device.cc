#include "dataplane/runtime/device.h"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_jhash.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "dataplane/base/log.h"
#include "dataplane/runtime/devargs.h"
#include "dataplane/runtime/eal_log.h"

namespace sluice::runtime {
namespace {

constexpr uint64_t kRssWanted = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
constexpr uint32_t kEtherOverheadBytes = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

// The DPDK port of the device that was probed as `name`; RTE_MAX_ETHPORTS if there is none.
uint16_t FindPort(const std::string& name) {
  for (uint16_t id = rte_eth_find_next(0); id < RTE_MAX_ETHPORTS;
       id = rte_eth_find_next(static_cast<uint16_t>(id + 1))) {
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(id, &info) == 0 && info.device != nullptr && rte_dev_name(info.device) == name) return id;
  }
  return RTE_MAX_ETHPORTS;
}

std::string ProbeRemedy(const std::string& devargs) {
  if (IsPciDevice(devargs)) return "; is it there (dpdk-devbind.py --status) and bound to vfio-pci?";
  if (IsDriver(devargs, "net_af_packet") || IsDriver(devargs, "net_af_xdp")) {
    return "; does the interface of iface= exist in this network namespace, and may this process use it (root)?";
  }
  return "; check the name of the driver and its arguments";
}

net::MacAddress MadeUpMac(const std::string& devargs) {
  const uint32_t hash = rte_jhash(devargs.data(), static_cast<uint32_t>(devargs.size()), 0);
  std::array<uint8_t, 6> mac = {0x02, 0x5c};
  std::memcpy(&mac[2], &hash, sizeof(hash));
  return net::MacAddress(mac.data());
}

}  // namespace

std::string Device::Error(const std::string& what) const {
  return absl::StrCat("port ", options_.port_name, ": device ", options_.devargs, ": ", what);
}

absl::StatusOr<std::unique_ptr<Device>> Device::Probe(const DeviceOptions& options) {
  const std::string name = DeviceName(options.devargs);
  // PCI devices of the allow list were probed by EAL already.
  if (FindPort(name) == RTE_MAX_ETHPORTS) {
    const std::string devargs =
        CompleteDevargs(options.devargs, options.queues, std::max(options.rx_descriptors, options.tx_descriptors));
    const EalLogExcerpt excerpt;
    const int result = rte_dev_probe(devargs.c_str());
    if (result != 0) {
      return absl::NotFoundError(absl::StrCat("port ", options.port_name, ": device ", options.devargs,
                                              ": probing failed: ", rte_strerror(-result), excerpt.Text(),
                                              ProbeRemedy(options.devargs)));
    }
  }
  const uint16_t id = FindPort(name);
  if (id == RTE_MAX_ETHPORTS) {
    return absl::NotFoundError(absl::StrCat("port ", options.port_name, ": device ", options.devargs,
                                            ": no driver made an Ethernet port of it", ProbeRemedy(options.devargs)));
  }
  std::unique_ptr<Device> device(new Device(options, id));
  rte_eth_dev_info_get(id, &device->info_);
  const int socket = rte_eth_dev_socket_id(id);
  device->socket_ = socket >= 0 ? socket : static_cast<int>(rte_socket_id());
  return device;
}

Device::~Device() {
  Stop();
  rte_device* device = info_.device;
  rte_eth_dev_close(id_);
  if (device != nullptr) rte_dev_remove(device);
}

net::MacAddress Device::mac() const {
  rte_ether_addr address{};
  rte_eth_macaddr_get(id_, &address);
  if (rte_is_zero_ether_addr(&address)) return MadeUpMac(options_.devargs);
  return net::MacAddress(address.addr_bytes);
}

uint32_t Device::MaxMtu() const { return std::min<uint32_t>(info_.max_mtu, info_.max_rx_pktlen - kEtherOverheadBytes); }

DeviceReport Device::Report() const {
  return {.device = options_.devargs,
          .driver = driver(),
          .max_rx_queues = info_.max_rx_queues,
          .max_tx_queues = info_.max_tx_queues,
          .rss = (kRssWanted & info_.flow_type_rss_offloads) != 0,
          .min_mtu_bytes = info_.min_mtu,
          .max_mtu_bytes = MaxMtu()};
}

absl::Status Device::CheckQueues() {
  if (info_.max_tx_queues < options_.queues) {
    return absl::FailedPreconditionError(
        Error(absl::StrCat("it has ", info_.max_tx_queues, " transmit queues for ", options_.queues,
                           " workers: lower workers.count, or give the port one device for each worker")));
  }
  rx_queues_ = std::min<uint32_t>(info_.max_rx_queues, options_.queues);
  if (rx_queues_ < options_.queues) {
    SLUICE_LOG(kWarning) << Error(absl::StrCat("it has ", rx_queues_, " receive queues for ", options_.queues,
                                               " workers: workers from ", rx_queues_, " on get nothing from it"));
  }
  return absl::OkStatus();
}

absl::StatusOr<rte_eth_conf> Device::MakeConf(uint32_t room_bytes) {
  rte_eth_conf conf{};
  conf.rxmode.mtu = options_.mtu_bytes;
  conf.intr_conf.rxq = options_.rx_interrupts ? 1 : 0;
  // Large receive offload and VLAN stripping stay off: packets are forwarded as they came.
  conf.rxmode.offloads |= info_.rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
  conf.txmode.offloads |= info_.tx_offload_capa & (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
  tx_ipv4_checksum_ = (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
  if (options_.single_pool) conf.txmode.offloads |= info_.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  if (options_.mtu_bytes + kEtherOverheadBytes > room_bytes - RTE_PKTMBUF_HEADROOM) {
    if ((info_.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) == 0) {
      return absl::FailedPreconditionError(
          Error(absl::StrCat("a frame of MTU ", options_.mtu_bytes, " does not fit one packet buffer of ",
                             room_bytes - RTE_PKTMBUF_HEADROOM,
                             " bytes, and the device cannot spread it over several: raise memory.mbuf_data_bytes to ",
                             options_.mtu_bytes + kEtherOverheadBytes, " or lower the port's mtu")));
    }
    // What comes in several buffers leaves in several.
    if ((info_.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) == 0) {
      return absl::FailedPreconditionError(
          Error(absl::StrCat("a frame of MTU ", options_.mtu_bytes, " does not fit one packet buffer of ",
                             room_bytes - RTE_PKTMBUF_HEADROOM,
                             " bytes, and the device cannot send one that is spread "
                             "over several: raise memory.mbuf_data_bytes to ",
                             options_.mtu_bytes + kEtherOverheadBytes, " or lower the port's mtu")));
    }
    conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
  }
  if (rx_queues_ > 1) {
    conf.rx_adv_conf.rss_conf.rss_hf = kRssWanted & info_.flow_type_rss_offloads;
    if (conf.rx_adv_conf.rss_conf.rss_hf != 0) {
      conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    } else {
      SLUICE_LOG(kInfo) << Error(absl::StrCat("driver ", driver(), " has no RSS: what spreads packets over its ",
                                              rx_queues_, " queues, if anything, is up to the driver"));
    }
  }
  return conf;
}

absl::Status Device::ConfigureWith(rte_eth_conf conf) {
  const auto tx_queues = static_cast<uint16_t>(options_.queues);
  const EalLogExcerpt excerpt;
  int result = rte_eth_dev_configure(id_, static_cast<uint16_t>(rx_queues_), tx_queues, &conf);
  if (result != 0 && conf.intr_conf.rxq != 0) {
    conf.intr_conf.rxq = 0;
    result = rte_eth_dev_configure(id_, static_cast<uint16_t>(rx_queues_), tx_queues, &conf);
  }
  rx_interrupts_ = result == 0 && conf.intr_conf.rxq != 0;
  if (result == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      Error(absl::StrCat("it cannot be configured with ", rx_queues_, " receive and ", tx_queues,
                         " transmit queues and MTU ", options_.mtu_bytes, ": ", rte_strerror(-result), excerpt.Text(),
                         "; the driver allows MTU ", info_.min_mtu, " to ", MaxMtu())));
}

absl::Status Device::SetUpQueues(const rte_eth_conf& conf, rte_mempool* pool) {
  auto rx_descriptors = static_cast<uint16_t>(std::min<uint32_t>(options_.rx_descriptors, UINT16_MAX));
  auto tx_descriptors = static_cast<uint16_t>(std::min<uint32_t>(options_.tx_descriptors, UINT16_MAX));
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx_descriptors, &tx_descriptors);
  if (rx_descriptors != options_.rx_descriptors || tx_descriptors != options_.tx_descriptors) {
    SLUICE_LOG(kWarning) << Error(absl::StrCat("the driver allows ", rx_descriptors, " receive and ", tx_descriptors,
                                               " transmit descriptors instead of ", options_.rx_descriptors, " and ",
                                               options_.tx_descriptors));
  }
  const EalLogExcerpt excerpt;
  const auto failed = [this, &excerpt](absl::string_view what, uint32_t queue, int result) {
    return absl::FailedPreconditionError(
        Error(absl::StrCat("setting up ", what, " queue ", queue, " failed: ", rte_strerror(-result), excerpt.Text(),
                           "; remedy: fewer descriptors, or a larger memory.mbuf_data_bytes if a frame does not fit")));
  };
  for (uint32_t queue = 0; queue < rx_queues_; ++queue) {
    rte_eth_rxconf rx = info_.default_rxconf;
    rx.offloads = conf.rxmode.offloads;
    const int result = rte_eth_rx_queue_setup(id_, static_cast<uint16_t>(queue), rx_descriptors,
                                              static_cast<unsigned>(socket_), &rx, pool);
    if (result != 0) return failed("receive", queue, result);
  }
  for (uint32_t queue = 0; queue < options_.queues; ++queue) {
    rte_eth_txconf tx = info_.default_txconf;
    tx.offloads = conf.txmode.offloads;
    const int result =
        rte_eth_tx_queue_setup(id_, static_cast<uint16_t>(queue), tx_descriptors, static_cast<unsigned>(socket_), &tx);
    if (result != 0) return failed("transmit", queue, result);
  }
  return absl::OkStatus();
}

void Device::SetMtu() {
  const int result = rte_eth_dev_set_mtu(id_, static_cast<uint16_t>(options_.mtu_bytes));
  if (result == -ENOTSUP) {
    SLUICE_LOG(kInfo) << Error(absl::StrCat("driver ", driver(), " sets no MTU; ", options_.mtu_bytes,
                                            " must be right where the device's other end is configured"));
  } else if (result != 0) {
    SLUICE_LOG(kWarning) << Error(
        absl::StrCat("the driver did not set MTU ", options_.mtu_bytes, ": ", rte_strerror(-result)));
  }
}

// The port takes frames for its own MAC address, and all multicast: neighbour discovery, routing protocols.
void Device::SetFilters() {
  rte_eth_promiscuous_disable(id_);
  const int result = rte_eth_allmulticast_enable(id_);
  if (result != 0 && result != -ENOTSUP) {
    SLUICE_LOG(kWarning) << Error(
        absl::StrCat("receiving all multicast could not be switched on: ", rte_strerror(-result)));
  } else if (result == -ENOTSUP && info_.if_index != 0) {
    SLUICE_LOG(kDebug) << Error(
        "the driver cannot switch multicast on; if the interface filters it, IPv6 needs: ip link set IFACE "
        "allmulticast "
        "on");
  }
}

absl::Status Device::Configure(rte_mempool* pool) {
  if (absl::Status status = CheckQueues(); !status.ok()) return status;
  absl::StatusOr<rte_eth_conf> conf = MakeConf(rte_pktmbuf_data_room_size(pool));
  if (!conf.ok()) return conf.status();
  if (absl::Status status = ConfigureWith(*conf); !status.ok()) return status;
  if (absl::Status status = SetUpQueues(*conf, pool); !status.ok()) return status;
  SetMtu();
  return absl::OkStatus();
}

absl::Status Device::StartDevice() const {
  const EalLogExcerpt excerpt;
  const int result = rte_eth_dev_start(id_);
  if (result == 0) return absl::OkStatus();
  return absl::UnavailableError(Error(absl::StrCat("starting failed: ", rte_strerror(-result), excerpt.Text())));
}

absl::Status Device::Start() {
  if (absl::Status status = StartDevice(); !status.ok()) return status;
  started_ = true;
  SetFilters();
  // Drivers without receive interrupts accept the configuration, but have no file descriptor to wait on; that they say
  // so is no news.
  const EalLogExcerpt quiet(EalLogExcerpt::Mode::kCollectOnly);
  rx_interrupts_ = rx_interrupts_ && rte_eth_dev_rx_intr_ctl_q_get_fd(id_, 0) >= 0;
  return absl::OkStatus();
}

void Device::Stop() {
  if (started_) rte_eth_dev_stop(id_);
  started_ = false;
}

}  // namespace sluice::runtime
