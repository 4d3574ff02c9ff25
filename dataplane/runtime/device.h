#ifndef SLUICE_DATAPLANE_RUNTIME_DEVICE_H_
#define SLUICE_DATAPLANE_RUNTIME_DEVICE_H_

#include <rte_ethdev.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/net/address.h"
#include "dataplane/runtime/inspect.h"

namespace sluice::runtime {

struct DeviceOptions {
  std::string port_name;  // for messages
  std::string devargs;    // as the user wrote it
  uint32_t queues = 1;    // one for each worker that uses the device
  uint32_t rx_descriptors = 1024;
  uint32_t tx_descriptors = 1024;
  uint32_t mtu_bytes = 1500;
  bool rx_interrupts = false;  // ask for them; devices without them work as well
  // All packets that leave by a queue come from one pool and have one owner: the driver may free them in bulk.
  bool single_pool = false;
};

// One DPDK Ethernet device: probed, configured, started. Main thread, except for the queues: worker i alone uses
// queue i.
class Device {
 public:
  // Probes the device. Errors name the port, the device string and DPDK's reason.
  static absl::StatusOr<std::unique_ptr<Device>> Probe(const DeviceOptions& options);
  // Stops, closes and removes it.
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // What its driver allows, whatever was asked for.
  DeviceReport Report() const;

  // The NUMA node whose memory its packets should use.
  int socket() const { return socket_; }

  // Configures queues and offloads, with packets from `pool`.
  absl::Status Configure(rte_mempool* pool);
  absl::Status Start();
  void Stop();

  uint16_t id() const { return id_; }
  const std::string& devargs() const { return options_.devargs; }
  // Receive queues; may be fewer than asked for. Transmit queues are always as many as asked for.
  uint32_t rx_queues() const { return rx_queues_; }
  bool tx_ipv4_checksum() const { return tx_ipv4_checksum_; }
  bool rx_interrupts() const { return rx_interrupts_; }
  // Its address; of a device that has none (net_ring) a locally administered one, the same at each start.
  net::MacAddress mac() const;
  // Index of the kernel interface below it; 0: none.
  unsigned kernel_interface() const { return info_.if_index; }
  const char* driver() const { return info_.driver_name; }

 private:
  Device(const DeviceOptions& options, uint16_t id) : options_(options), id_(id) {}
  // "port wan: device net_null0: <what>"
  std::string Error(const std::string& what) const;
  uint32_t MaxMtu() const;
  absl::Status CheckQueues();
  absl::StatusOr<rte_eth_conf> MakeConf(uint32_t room_bytes);
  absl::Status ConfigureWith(rte_eth_conf conf);
  absl::Status SetUpQueues(const rte_eth_conf& conf, rte_mempool* pool);
  absl::Status StartDevice() const;
  void SetMtu();
  void SetFilters();

  const DeviceOptions options_;
  const uint16_t id_;
  rte_eth_dev_info info_{};
  int socket_ = 0;
  uint32_t rx_queues_ = 0;
  bool tx_ipv4_checksum_ = false;
  bool rx_interrupts_ = false;
  bool started_ = false;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_DEVICE_H_
