#include "controlplane/preflight/gather.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <utility>

#include "controlplane/model/text.h"
#include "dataplane/base/cpu_list.h"

namespace sluice::preflight {
namespace {

using model::Cat;

constexpr uint64_t kKilobyte = 1024;

uint64_t Hexadecimal(std::string_view text) { return std::strtoull(std::string(text).c_str(), nullptr, 16); }
uint64_t Decimal(std::string_view text) { return std::strtoull(std::string(text).c_str(), nullptr, 10); }

// The number after a prefix, as in "node1" and "hugepages-2048kB"; nothing for other names.
std::optional<uint64_t> NumberAfter(std::string_view name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) != prefix || name.size() == prefix.size()) return std::nullopt;
  const char digit = name[prefix.size()];
  if (digit < '0' || digit > '9') return std::nullopt;
  return Decimal(name.substr(prefix.size()));
}

void GatherHugepages(const SystemFiles& files, const std::string& directory, int node, Facts* facts) {
  for (const std::string& name : files.Names(directory)) {
    const std::optional<uint64_t> kilobytes = NumberAfter(name, "hugepages-");
    if (!kilobytes) continue;
    facts->hugepages.push_back({.node = node,
                                .page_bytes = *kilobytes * kKilobyte,
                                .total = files.Number(Cat(directory, "/", name, "/nr_hugepages")).value_or(0),
                                .free = files.Number(Cat(directory, "/", name, "/free_hugepages")).value_or(0)});
  }
}

uint64_t AvailableBytesIn(std::string_view meminfo) { return Decimal(FieldOf(meminfo, "MemAvailable")) * kKilobyte; }

void GatherMemory(const SystemFiles& files, Facts* facts) {
  const std::string meminfo = files.Text("/proc/meminfo");
  facts->memory_total_bytes = Decimal(FieldOf(meminfo, "MemTotal")) * kKilobyte;
  facts->memory_available_bytes = AvailableBytesIn(meminfo);
  for (const std::string& name : files.Names("/sys/devices/system/node")) {
    const std::optional<uint64_t> node = NumberAfter(name, "node");
    if (!node) continue;
    GatherHugepages(files, Cat("/sys/devices/system/node/", name, "/hugepages"), static_cast<int>(*node), facts);
  }
  // Kernels without NUMA.
  if (facts->hugepages.empty()) GatherHugepages(files, "/sys/kernel/mm/hugepages", 0, facts);
}

int NodeOfCpu(const SystemFiles& files, const std::string& directory) {
  for (const std::string& name : files.Names(directory)) {
    if (const std::optional<uint64_t> node = NumberAfter(name, "node")) return static_cast<int>(*node);
  }
  return 0;
}

void GatherCpus(const SystemFiles& files, Facts* facts) {
  for (const uint32_t id : files.CpuList("/sys/devices/system/cpu/online")) {
    const std::string directory = Cat("/sys/devices/system/cpu/cpu", id);
    facts->cpus.push_back({.id = id,
                           .node = NodeOfCpu(files, directory),
                           .siblings = files.CpuList(Cat(directory, "/topology/thread_siblings_list")),
                           .governor = files.Line(Cat(directory, "/cpufreq/scaling_governor"))});
  }
  facts->isolated_cpus = files.CpuList("/sys/devices/system/cpu/isolated");
  facts->nohz_full_cpus = files.CpuList("/sys/devices/system/cpu/nohz_full");
  for (std::string& flag : Words(FieldOf(files.Text("/proc/cpuinfo"), "flags")))
    facts->cpu_flags.insert(std::move(flag));
}

// "Max locked memory  8388608  8388608  bytes"
std::optional<uint64_t> LockedMemoryLimit(const SystemFiles& files) {
  constexpr std::string_view kName = "Max locked memory";
  for (const std::string& line : Lines(files.Text("/proc/self/limits"))) {
    if (std::string_view(line).substr(0, kName.size()) != kName) continue;
    const std::vector<std::string> words = Words(std::string_view(line).substr(kName.size()));
    if (words.empty() || words[0] == "unlimited") return std::nullopt;
    return Decimal(words[0]);
  }
  return std::nullopt;
}

void GatherProcess(const SystemFiles& files, Facts* facts) {
  const std::string status = files.Text("/proc/self/status");
  facts->allowed_cpus = ParseCpuList(FieldOf(status, "Cpus_allowed_list")).value_or(std::vector<uint32_t>());
  const std::vector<std::string> uids = Words(FieldOf(status, "Uid"));
  if (uids.size() > 1) facts->uid = static_cast<uint32_t>(Decimal(uids[1]));  // the effective one
  facts->capabilities = Hexadecimal(FieldOf(status, "CapEff"));
  facts->locked_memory_bytes = LockedMemoryLimit(files);
}

void GatherListeners(const SystemFiles& files, Facts* facts) {
  // sl local_address rem_address st ...
  constexpr std::string_view kListening = "0A";
  for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    for (const std::string& line : Lines(files.Text(file))) {
      const std::vector<std::string> words = Words(line);
      if (words.size() < 4 || words[3] != kListening) continue;
      const size_t colon = words[1].find(':');
      if (colon == std::string::npos) continue;
      facts->listeners.push_back(
          {words[1].substr(0, colon), static_cast<uint16_t>(Hexadecimal(words[1].substr(colon + 1)))});
    }
  }
  // Num RefCount Protocol Flags Type St Inode Path; flag 0x10000: accepts connections
  for (const std::string& line : Lines(files.Text("/proc/net/unix"))) {
    const std::vector<std::string> words = Words(line);
    if (words.size() >= 8 && words[3] == "00010000") facts->unix_listeners.insert(words[7]);
  }
}

FileFacts ReadFile(const SystemFiles& files, const std::string& path) {
  FileFacts file;
  struct stat info {};
  file.exists = stat(files.Full(path).c_str(), &info) == 0;
  file.mode = info.st_mode & 07777;
  file.readable = files.Accessible(path, R_OK);
  return file;
}

}  // namespace

uint64_t AvailableBytes(const SystemFiles& files) { return AvailableBytesIn(files.Text("/proc/meminfo")); }

Facts Gather(const Demand& demand, const Places& places) {
  const SystemFiles files(places.root);
  Facts facts;
  facts.kernel_release = files.Line("/proc/sys/kernel/osrelease");
  GatherCpus(files, &facts);
  GatherMemory(files, &facts);
  GatherProcess(files, &facts);
  GatherListeners(files, &facts);

  std::set<std::string> addresses;
  for (const PortDemand& port : demand.ports) {
    for (const DeviceDemand& device : port.devices) {
      if (!device.pci_address.empty()) addresses.insert(device.pci_address);
    }
  }
  // Some megabytes to be read, and of no use without PCI devices.
  const std::vector<PmdInfo> pmds =
      addresses.empty() ? std::vector<PmdInfo>() : ReadPmdDirectory(files, places.pmd_directory);
  facts.pci = GatherPci(files, addresses, pmds);
  facts.interfaces = GatherInterfaces(files);
  facts.unmetered_default_route_v4 = GatherRoutes(files, &facts.interfaces);
  facts.usual_default_route_v6 = GatherUsualDefaultRouteV6(files);
  facts.iommu_groups = static_cast<uint32_t>(files.Names("/sys/kernel/iommu_groups").size());
  facts.vfio_without_iommu = files.Line("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y";
  facts.tun_exists = files.Exists("/dev/net/tun");
  facts.tun_accessible = files.Accessible("/dev/net/tun", R_OK | W_OK);
  facts.ipv6 = files.Exists("/proc/net/if_inet6") && files.Line("/proc/sys/net/ipv6/conf/all/disable_ipv6") != "1";
  for (const FileDemand& file : demand.files) facts.files.emplace(file.path, ReadFile(files, file.path));
  return facts;
}

}  // namespace sluice::preflight
