#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "controlplane/model/text.h"
#include "controlplane/preflight/gather.h"

namespace sluice::preflight {
namespace {

using model::Cat;

constexpr uint64_t kFlagUp = 1;  // IFF_UP

int Node(const SystemFiles& files, const std::string& path) {
  const std::optional<uint64_t> node = files.Number(path);  // -1 where the machine has one node
  return node ? static_cast<int>(*node) : kNoNode;
}

uint32_t Small(std::optional<uint64_t> number) { return static_cast<uint32_t>(number.value_or(0)); }

uint32_t CountReceiveQueues(const SystemFiles& files, const std::string& directory) {
  uint32_t queues = 0;
  for (const std::string& name : files.Names(directory)) queues += name.rfind("rx-", 0) == 0 ? 1 : 0;
  return queues;
}

Interface ReadInterface(const SystemFiles& files, const std::string& directory) {
  Interface interface;
  interface.up = (files.Number(Cat(directory, "/flags")).value_or(0) & kFlagUp) != 0;
  // Unreadable while the interface is down.
  interface.carrier = files.Number(Cat(directory, "/carrier")).value_or(0) == 1;
  interface.mtu_bytes = Small(files.Number(Cat(directory, "/mtu")));
  interface.speed_mbps = Small(files.Number(Cat(directory, "/speed")));
  interface.rx_queues = CountReceiveQueues(files, Cat(directory, "/queues"));
  interface.driver = files.LinkName(Cat(directory, "/device/driver"));
  interface.node = Node(files, Cat(directory, "/device/numa_node"));
  return interface;
}

PciDevice ReadPci(const SystemFiles& files, const std::string& directory) {
  PciDevice pci;
  pci.vendor = static_cast<uint16_t>(files.Number(Cat(directory, "/vendor")).value_or(0));
  pci.device = static_cast<uint16_t>(files.Number(Cat(directory, "/device")).value_or(0));
  pci.driver = files.LinkName(Cat(directory, "/driver"));
  pci.node = Node(files, Cat(directory, "/numa_node"));
  pci.interfaces = files.Names(Cat(directory, "/net"));
  pci.link_width = Small(files.Number(Cat(directory, "/current_link_width")));
  pci.max_link_width = Small(files.Number(Cat(directory, "/max_link_width")));
  const std::string group = files.LinkName(Cat(directory, "/iommu_group"));
  if (!group.empty()) {
    pci.iommu_group = static_cast<uint32_t>(std::strtoul(group.c_str(), nullptr, 10));
    const bool noiommu = files.Exists(Cat("/dev/vfio/noiommu-", group));
    pci.vfio_accessible = files.Accessible(Cat("/dev/vfio/", noiommu ? "noiommu-" : "", group), R_OK | W_OK);
  }
  return pci;
}

}  // namespace

std::map<std::string, Interface> GatherInterfaces(const SystemFiles& files) {
  std::map<std::string, Interface> interfaces;
  for (const std::string& name : files.Names("/sys/class/net")) {
    const std::string directory = Cat("/sys/class/net/", name);
    // Other things live there too, such as bonding_masters.
    if (files.Exists(Cat(directory, "/mtu"))) interfaces.emplace(name, ReadInterface(files, directory));
  }
  return interfaces;
}

bool GatherRoutes(const SystemFiles& files, std::map<std::string, Interface>* interfaces) {
  // Iface Destination Gateway Flags RefCnt Use Metric Mask ...
  constexpr size_t kDestination = 1, kMetric = 6, kMask = 7;
  bool unmetered_default = false;
  for (const std::string& line : Lines(files.Text("/proc/net/route"))) {
    const std::vector<std::string> words = Words(line);
    if (words.size() <= kMask) continue;
    const auto interface = interfaces->find(words[0]);
    if (interface == interfaces->end()) continue;
    interface->second.routes_v4 = true;
    if (words[kDestination] != "00000000" || words[kMask] != "00000000") continue;
    interface->second.default_route_v4 = true;
    unmetered_default = unmetered_default || words[kMetric] == "0";
  }
  return unmetered_default;
}

bool GatherUsualDefaultRouteV6(const SystemFiles& files) {
  // Destination, its length, source, its length, next hop, metric, ...: all in hexadecimal.
  constexpr size_t kDestination = 0, kLength = 1, kMetric = 5;
  const std::vector<std::string> lines = Lines(files.Text("/proc/net/ipv6_route"));
  return std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    const std::vector<std::string> words = Words(line);
    return words.size() > kMetric && words[kDestination] == std::string(32, '0') && words[kLength] == "00" &&
           words[kMetric] == "00000400";
  });
}

std::map<std::string, PciDevice> GatherPci(const SystemFiles& files, const std::set<std::string>& addresses,
                                           const std::vector<PmdInfo>& pmds) {
  std::map<std::string, PciDevice> found;
  for (const std::string& address : addresses) {
    const std::string directory = Cat("/sys/bus/pci/devices/", address);
    if (!files.Exists(directory)) continue;
    PciDevice pci = ReadPci(files, directory);
    for (const PmdInfo& pmd : pmds) {
      if (!pmd.Knows(pci.vendor, pci.device)) continue;
      pci.pmd = pmd.name;
      pci.pmd_kernel_drivers = pmd.kernel_drivers;
      break;
    }
    found.emplace(address, std::move(pci));
  }
  return found;
}

}  // namespace sluice::preflight
