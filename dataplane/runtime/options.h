#ifndef SLUICE_DATAPLANE_RUNTIME_OPTIONS_H_
#define SLUICE_DATAPLANE_RUNTIME_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/net/address.h"

// What the composition root tells the data plane at start; the data plane does not know the configuration file.
namespace sluice::runtime {

enum class Hugepages : uint8_t { kAuto, kRequire, kOff };
enum class IdleMode : uint8_t { kPoll, kAdaptive };

struct PortOptions {
  std::string name;
  std::vector<std::string> devices;      // PCI addresses or vdev arguments; one, or one for each worker
  std::vector<net::IpPrefix> addresses;  // of the host, set on the exception port
  std::vector<net::IpAddress> gateways;  // default routes set on the exception port
  std::optional<net::MacAddress> gateway_mac;
  uint32_t mtu_bytes = 1500;
  uint32_t rx_descriptors = 1024;
  uint32_t tx_descriptors = 1024;
  std::string exception_interface;  // name of the TAP; empty: none
};

struct DataplaneOptions {
  std::vector<PortOptions> ports;
  uint32_t workers = 1;
  std::vector<uint32_t> worker_cpus;  // empty: chosen
  IdleMode idle = IdleMode::kAdaptive;
  Hugepages hugepages = Hugepages::kAuto;
  uint32_t mbufs = 0;  // 0: computed
  uint32_t mbuf_data_bytes = 2048;
  uint32_t connections_v4 = 262144;       // per worker
  uint32_t connections_v6 = 65536;        // per worker
  uint32_t connections_wide = 16384;      // per worker, to VIPs that are prefixes
  uint32_t connections_stateful = 65536;  // per worker, in slots
  uint32_t nat_sessions = 65536;          // per worker
  // What full NAT sends from; workers share out the ports of each address. Set on exception ports.
  std::vector<net::IpAddress> nat_local_addresses;
  uint16_t nat_first_port = 1024;
  uint16_t nat_last_port = 65535;
  // Fragmented packets, per worker: followed at once, fragments that wait for the first one of their packet, and how
  // long.
  uint32_t fragment_packets = 4096;
  uint32_t fragments_held = 256;
  uint32_t fragment_timeout_s = 2;
  // Where tunnels come from, by family; host bits zero. Unset: the port's address.
  std::optional<net::IpPrefix> tunnel_source_v4;
  std::optional<net::IpPrefix> tunnel_source_v6;
  uint32_t answers_per_s = 1000;  // per worker
  uint32_t copies_per_s = 4000;   // likewise
  std::vector<uint16_t> management_ports = {22};
  uint32_t punt_rate_limit_pps = 10000;
  // Source ports of the host's health checks, both ends included.
  uint16_t probe_first_port = 1;
  uint16_t probe_last_port = 0;  // below the first: none
  uint32_t max_vips = 16384;
  uint32_t max_backends = 32768;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_OPTIONS_H_
