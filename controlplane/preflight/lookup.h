#ifndef SLUICE_CONTROLPLANE_PREFLIGHT_LOOKUP_H_
#define SLUICE_CONTROLPLANE_PREFLIGHT_LOOKUP_H_

#include <algorithm>
#include <string>
#include <vector>

#include "controlplane/model/text.h"
#include "controlplane/preflight/demand.h"
#include "controlplane/preflight/facts.h"
#include "controlplane/preflight/finding.h"

// What several of the checks ask.
namespace sluice::preflight {

inline bool Contains(const std::vector<uint32_t>& cpus, uint32_t cpu) {
  return std::find(cpus.begin(), cpus.end(), cpu) != cpus.end();
}

inline const Cpu* FindCpu(const Facts& facts, uint32_t id) {
  const auto found = std::find_if(facts.cpus.begin(), facts.cpus.end(), [id](const Cpu& cpu) { return cpu.id == id; });
  return found == facts.cpus.end() ? nullptr : &*found;
}

inline const Interface* FindInterface(const Facts& facts, const std::string& name) {
  const auto found = facts.interfaces.find(name);
  return found == facts.interfaces.end() ? nullptr : &found->second;
}

// The NUMA node of a device: of its PCI function, or of the one below its interface.
inline int NodeOf(const DeviceDemand& device, const Facts& facts) {
  if (const auto found = facts.pci.find(device.pci_address); found != facts.pci.end()) return found->second.node;
  const Interface* interface = FindInterface(facts, device.interface);
  return interface == nullptr ? kNoNode : interface->node;
}

inline bool AnyPci(const Demand& demand) {
  return std::any_of(demand.ports.begin(), demand.ports.end(), [](const PortDemand& port) {
    return std::any_of(port.devices.begin(), port.devices.end(),
                       [](const DeviceDemand& device) { return !device.pci_address.empty(); });
  });
}

inline bool AnyDriver(const Demand& demand, std::string_view driver) {
  return std::any_of(demand.ports.begin(), demand.ports.end(), [driver](const PortDemand& port) {
    return std::any_of(port.devices.begin(), port.devices.end(),
                       [driver](const DeviceDemand& device) { return device.driver == driver; });
  });
}

inline bool HasCapability(const Facts& facts, unsigned capability) {
  return (facts.capabilities >> capability & 1) != 0;
}

}  // namespace sluice::preflight

#endif  // SLUICE_CONTROLPLANE_PREFLIGHT_LOOKUP_H_
