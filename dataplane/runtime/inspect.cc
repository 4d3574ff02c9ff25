#include "dataplane/runtime/inspect.h"

#include <memory>
#include <utility>

#include "dataplane/runtime/cpu_plan.h"
#include "dataplane/runtime/device.h"
#include "dataplane/runtime/eal.h"
#include "dataplane/runtime/memory_plan.h"

namespace sluice::runtime {

absl::StatusOr<std::vector<DeviceReport>> InspectDevices(const DataplaneOptions& options) {
  const absl::StatusOr<std::vector<uint32_t>> allowed = AllowedCpus();
  if (!allowed.ok()) return allowed.status();
  const absl::StatusOr<CpuPlan> cpus = PlanCpus(*allowed, options.worker_cpus, options.workers);
  if (!cpus.ok()) return cpus.status();
  const absl::StatusOr<std::unique_ptr<Eal>> eal = Eal::Init(options, *cpus, PlanMemory(options));
  if (!eal.ok()) return eal.status();

  std::vector<DeviceReport> reports;
  for (const PortOptions& port : options.ports) {
    for (const std::string& devargs : port.devices) {
      const DeviceOptions wanted{.port_name = port.name,
                                 .devargs = devargs,
                                 .queues = port.devices.size() == 1 ? options.workers : 1,
                                 .rx_descriptors = port.rx_descriptors,
                                 .tx_descriptors = port.tx_descriptors,
                                 .mtu_bytes = port.mtu_bytes};
      const absl::StatusOr<std::unique_ptr<Device>> device = Device::Probe(wanted);
      if (!device.ok()) return device.status();
      reports.push_back((*device)->Report());
    }
  }
  return reports;
}

}  // namespace sluice::runtime
