#include <map>
#include <set>

#include "controlplane/preflight/examine.h"
#include "controlplane/preflight/lookup.h"

namespace sluice::preflight {
namespace {

using model::Cat;

constexpr uint64_t kMegabyte = 1 << 20;
constexpr uint64_t kPageBytes = 2 * kMegabyte;
constexpr unsigned kCapIpcLock = 14;

uint64_t Pages(uint64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes; }
std::string Megabytes(uint64_t bytes) { return Cat((bytes + kMegabyte - 1) / kMegabyte, " MB"); }

std::map<int, uint64_t> FreeByNode(const Facts& facts) {
  std::map<int, uint64_t> free;
  for (const HugepagePool& pool : facts.hugepages) free[pool.node] += pool.page_bytes * pool.free;
  return free;
}

// Nodes on which packet buffers are made: those of the ports' devices.
std::set<int> PacketNodes(const Demand& demand, const Facts& facts) {
  std::set<int> nodes;
  for (const PortDemand& port : demand.ports) {
    for (const DeviceDemand& device : port.devices) {
      if (const int node = NodeOf(device, facts); node != kNoNode) nodes.insert(node);
    }
  }
  return nodes;
}

// True when packets will live in huge pages.
bool CheckHugepages(const Demand& demand, const Facts& facts, Findings* out) {
  const std::string subject = "huge pages";
  if (demand.hugepages == HugepageRule::kOff) {
    if (AnyPci(demand)) {
      out->push_back({Severity::kWarning, "memory.hugepages", subject,
                      "memory.hugepages is off: every packet of the NIC costs several TLB misses more",
                      "set memory.hugepages to require"});
    }
    return false;
  }
  const std::map<int, uint64_t> free = FreeByNode(facts);
  uint64_t available = 0;
  for (const auto& [node, bytes] : free) available += bytes;
  const uint64_t pages = Pages(demand.packet_bytes + demand.connection_bytes);
  if (available < demand.packet_bytes) {
    const bool required = demand.hugepages == HugepageRule::kRequire;
    out->push_back(
        {required ? Severity::kError : Severity::kWarning, "memory.hugepages", subject,
         Cat(Megabytes(available), " are free and ", Megabytes(demand.packet_bytes), " are needed for packets",
             required ? "; memory.hugepages is require"
                      : ": packets live in "
                        "ordinary memory, which is slower and rules out devices without an IOMMU"),
         Cat("sysctl vm.nr_hugepages=", pages,
             " (beyond those that others use), and in /etc/default/sluice for good")});
    return false;
  }
  bool enough = true;
  for (const int node : PacketNodes(demand, facts)) {
    const auto found = free.find(node);
    const uint64_t here = found == free.end() ? 0 : found->second;
    if (here >= demand.packet_bytes) continue;
    enough = false;
    out->push_back(
        {Severity::kError, "memory.hugepages", Cat("huge pages of NUMA node ", node),
         Cat(Megabytes(here), " are free and the ports of the node need ", Megabytes(demand.packet_bytes),
             "; pages of other nodes do not help"),
         Cat("echo ", pages, " > /sys/devices/system/node/node", node, "/hugepages/hugepages-2048kB/nr_hugepages")});
  }
  if (!enough) return true;
  if (available < demand.packet_bytes + demand.connection_bytes) {
    out->push_back({Severity::kWarning, "memory.hugepages", subject,
                    Cat(Megabytes(available), " are free: enough for packets (", Megabytes(demand.packet_bytes),
                        "), not for the connection tables too (", Megabytes(demand.connection_bytes),
                        "), which then cost TLB misses"),
                    Cat("sysctl vm.nr_hugepages=", pages)});
  } else {
    out->push_back(
        {Severity::kOk, "memory.hugepages", subject,
         Cat(Megabytes(available), " free, ", Megabytes(demand.packet_bytes + demand.connection_bytes), " needed"),
         ""});
  }
  return true;
}

void CheckOrdinary(const Demand& demand, const Facts& facts, bool hugepages, Findings* out) {
  const uint64_t needed = hugepages ? 0 : demand.packet_bytes + demand.connection_bytes;
  const std::string message =
      Cat(Megabytes(needed), " of ordinary memory needed for packets and connection tables, ",
          Megabytes(facts.memory_available_bytes), " of ", Megabytes(facts.memory_total_bytes), " available");
  if (needed > facts.memory_total_bytes) {
    out->push_back(
        {Severity::kError, "memory.ordinary", "memory", message, "lower tables.* and memory.mbufs, or add memory"});
  } else if (needed > facts.memory_available_bytes) {
    out->push_back({Severity::kWarning, "memory.ordinary", "memory", message,
                    "stop what uses it (ps --sort=-rss aux), or lower tables.* and memory.mbufs"});
  } else {
    out->push_back({Severity::kOk, "memory.ordinary", "memory", message, ""});
  }
}

// VFIO pins what a device may reach, AF_XDP its buffers, and net_af_packet locks the rings that it shares with the
// kernel; all of it counts against the limit of an unprivileged process.
void CheckLocked(const Demand& demand, const Facts& facts, Findings* out) {
  uint64_t needed = AnyPci(demand) || AnyDriver(demand, "net_af_xdp") ? demand.packet_bytes : 0;
  for (const PortDemand& port : demand.ports) {
    for (const DeviceDemand& device : port.devices) needed += device.locked_bytes;
  }
  if (!facts.locked_memory_bytes || *facts.locked_memory_bytes >= needed || HasCapability(facts, kCapIpcLock)) return;
  out->push_back(
      {Severity::kError, "memory.lock", "locked memory",
       Cat("the process may lock ", Megabytes(*facts.locked_memory_bytes), ", devices need ", Megabytes(needed)),
       "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited"});
}

}  // namespace

void CheckMemory(const Demand& demand, const Facts& facts, Findings* out) {
  const bool hugepages = CheckHugepages(demand, facts, out);
  CheckOrdinary(demand, facts, hugepages, out);
  CheckLocked(demand, facts, out);
}

}  // namespace sluice::preflight
