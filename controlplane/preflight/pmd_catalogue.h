#ifndef SLUICE_CONTROLPLANE_PREFLIGHT_PMD_CATALOGUE_H_
#define SLUICE_CONTROLPLANE_PREFLIGHT_PMD_CATALOGUE_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/preflight/system_files.h"

// Which PCI devices the installed DPDK drivers know. Each driver's shared object carries a line of JSON after
// "PMD_INFO_STRING= " (what dpdk-pmdinfo.py prints), so that nobody has to load it, or touch the device, to know.
namespace sluice::preflight {

struct PciId {
  static constexpr uint16_t kAny = 0xffff;
  uint16_t vendor = kAny, device = kAny;
};

struct PmdInfo {
  std::string name;                      // "net_ixgbe"
  std::set<std::string> kernel_drivers;  // "vfio-pci", ...: one of them has to be bound; empty: none
  std::vector<PciId> ids;
  bool Knows(uint16_t vendor, uint16_t device) const;
};

// All drivers described in the bytes of one shared object. Descriptions that are not as expected are left out.
std::vector<PmdInfo> ParsePmdInfo(std::string_view object);

// Of all network drivers in a directory.
std::vector<PmdInfo> ReadPmdDirectory(const SystemFiles& files, const std::string& directory);

}  // namespace sluice::preflight

#endif  // SLUICE_CONTROLPLANE_PREFLIGHT_PMD_CATALOGUE_H_
