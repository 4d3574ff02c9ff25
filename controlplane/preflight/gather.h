#ifndef SLUICE_CONTROLPLANE_PREFLIGHT_GATHER_H_
#define SLUICE_CONTROLPLANE_PREFLIGHT_GATHER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "controlplane/preflight/demand.h"
#include "controlplane/preflight/facts.h"
#include "controlplane/preflight/pmd_catalogue.h"
#include "controlplane/preflight/system_files.h"

// Reads the facts. It only looks: no device is probed, so that it may run beside a sluiced that forwards. Any thread.
namespace sluice::preflight {

struct Places {
  std::string root;           // before /sys, /proc, /dev and the configuration's files; empty: this machine
  std::string pmd_directory;  // of DPDK's drivers; below the root as well
};

Facts Gather(const Demand& demand, const Places& places);

// Bytes that the machine can still give without swapping (MemAvailable); 0: unknown.
uint64_t AvailableBytes(const SystemFiles& files);

// Its parts that concern devices (gather_devices.cc).
std::map<std::string, Interface> GatherInterfaces(const SystemFiles& files);
std::map<std::string, PciDevice> GatherPci(const SystemFiles& files, const std::set<std::string>& addresses,
                                           const std::vector<PmdInfo>& pmds);
// Marks the interfaces that IPv4 routes lead to; true if there is a default route of metric 0.
bool GatherRoutes(const SystemFiles& files, std::map<std::string, Interface>* interfaces);
// True if there is an IPv6 default route of the metric that the kernel gives where none is named.
bool GatherUsualDefaultRouteV6(const SystemFiles& files);

}  // namespace sluice::preflight

#endif  // SLUICE_CONTROLPLANE_PREFLIGHT_GATHER_H_
