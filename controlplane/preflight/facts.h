#ifndef SLUICE_CONTROLPLANE_PREFLIGHT_FACTS_H_
#define SLUICE_CONTROLPLANE_PREFLIGHT_FACTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// What the machine is, as far as it matters to sluiced; plain values, so that the checks are functions of them.
namespace sluice::preflight {

inline constexpr int kNoNode = -1;  // the kernel names no NUMA node: a device of a machine with one, or a virtual one

struct Cpu {
  uint32_t id = 0;
  int node = 0;
  std::vector<uint32_t> siblings;  // hardware threads of its core, itself included
  std::string governor;            // of its frequency; empty: the kernel does not scale it
};

struct HugepagePool {
  int node = 0;
  uint64_t page_bytes = 0, total = 0, free = 0;  // in pages
};

struct PciDevice {
  uint16_t vendor = 0, device = 0;
  std::string driver;  // of the kernel, that is bound to it; empty: none
  int node = kNoNode;
  std::optional<uint32_t> iommu_group;
  bool vfio_accessible = false;  // this process may open its group's file below /dev/vfio
  std::vector<std::string> interfaces;
  uint32_t link_width = 0, max_link_width = 0;  // PCI Express lanes; 0: unknown
  std::string pmd;                              // installed DPDK driver that knows the device; empty: none
  std::set<std::string> pmd_kernel_drivers;     // kernel drivers of which the PMD wants one bound; empty: it wants none
};

struct Interface {
  std::string driver;  // empty: none, such as of veth
  int node = kNoNode;
  bool up = false, carrier = false;
  uint32_t mtu_bytes = 0, rx_queues = 0;
  uint32_t speed_mbps = 0;  // 0: unknown
  bool routes_v4 = false;   // the kernel has IPv4 routes by it, so it has addresses
  bool default_route_v4 = false;
};

// What the DPDK driver of a device says once it was opened.
struct ProbedDevice {
  std::string driver;
  uint32_t max_rx_queues = 0, max_tx_queues = 0;
  bool rss = false;
  uint32_t min_mtu_bytes = 0, max_mtu_bytes = 0;
};

struct Listener {
  std::string address;  // as /proc/net/tcp has it, in hexadecimal; all zeros: any
  uint16_t port = 0;
};

struct FileFacts {
  bool exists = false, readable = false;
  uint32_t mode = 0;  // permission bits
};

struct Facts {
  std::string kernel_release;
  std::set<std::string> cpu_flags;
  std::vector<Cpu> cpus;               // online, ascending
  std::vector<uint32_t> allowed_cpus;  // of this process
  std::vector<uint32_t> isolated_cpus, nohz_full_cpus;
  std::vector<HugepagePool> hugepages;
  uint64_t memory_total_bytes = 0, memory_available_bytes = 0;

  std::map<std::string, PciDevice> pci;  // by address; those that were asked for and are there
  std::map<std::string, Interface> interfaces;
  std::map<std::string, ProbedDevice> probed;  // by the text of the configuration; empty unless they were opened
  std::string probe_problem;                   // why they could not be opened
  uint32_t iommu_groups = 0;                   // 0: no IOMMU, or it is off
  bool vfio_without_iommu = false;
  bool tun_exists = false, tun_accessible = false;
  bool ipv6 = false;
  bool unmetered_default_route_v4 = false;  // of metric 0, which another of metric 0 would contradict
  bool usual_default_route_v6 = false;      // of metric 1024, the kernel's for all that names none; routers' too

  uint32_t uid = 0;
  uint64_t capabilities = 0;                    // effective; bit numbers of capabilities(7)
  std::optional<uint64_t> locked_memory_bytes;  // limit; none: unlimited
  std::vector<Listener> listeners;              // TCP
  std::set<std::string> unix_listeners;
  std::map<std::string, FileFacts> files;
};

}  // namespace sluice::preflight

#endif  // SLUICE_CONTROLPLANE_PREFLIGHT_FACTS_H_
