#ifndef SLUICE_CONTROLPLANE_PREFLIGHT_DEMAND_H_
#define SLUICE_CONTROLPLANE_PREFLIGHT_DEMAND_H_

#include <cstdint>
#include <string>
#include <vector>

// What a configuration asks of the machine, as plain values.
namespace sluice::preflight {

// One DPDK device of a port.
struct DeviceDemand {
  std::string text;         // as the configuration has it
  std::string pci_address;  // "0000:03:00.0"; empty for a virtual device
  std::string driver;     // of a virtual device, such as "net_af_packet"; "other" where the process needs no privilege
  std::string interface;  // of the kernel, that a virtual device works on; empty: none
  uint32_t queues = 1;
  uint64_t locked_bytes = 0;  // memory beyond packet buffers that its driver locks
};

struct PortDemand {
  std::string name;
  std::vector<DeviceDemand> devices;
  uint32_t mtu_bytes = 1500;
  std::string exception_interface;  // empty: none
  bool ipv6_addresses = false;
  bool default_route_v4 = false;  // sluiced sets one by this port
  bool default_route_v6 = false;
};

// A file that the configuration names, or is.
struct FileDemand {
  std::string path;
  std::string purpose;  // "the configuration", "the API's key"
  bool secret = false;  // nobody else should be able to read it
};

enum class HugepageRule : uint8_t { kAuto, kRequire, kOff };

struct Demand {
  std::vector<PortDemand> ports;
  uint32_t workers = 1;
  bool busy_polling = false;          // workers never sleep
  std::vector<uint32_t> worker_cpus;  // as planned; empty when the plan failed
  std::string cpu_problem;            // why it failed
  HugepageRule hugepages = HugepageRule::kAuto;
  uint64_t packet_bytes = 0;      // packet buffers of one NUMA node with ports, and what DPDK needs itself
  uint64_t connection_bytes = 0;  // connection tables of all workers
  // The most that a tunnel adds to a packet; 0: no VIP uses one. And one VIP that uses it.
  uint32_t tunnel_bytes = 0;
  std::string tunnel_vip;
  std::string api_listen;      // "unix:/path" or "host:port"
  std::string api_tcp_listen;  // with TLS; empty: off
  std::string metrics_listen;  // empty: off
  std::vector<FileDemand> files;
};

}  // namespace sluice::preflight

#endif  // SLUICE_CONTROLPLANE_PREFLIGHT_DEMAND_H_
