#ifndef SLUICE_DATAPLANE_RUNTIME_INSPECT_H_
#define SLUICE_DATAPLANE_RUNTIME_INSPECT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/runtime/options.h"

namespace sluice::runtime {

// What a driver says of its device.
struct DeviceReport {
  std::string device;  // as the options name it
  std::string driver;  // "net_ixgbe"
  uint32_t max_rx_queues = 0, max_tx_queues = 0;
  bool rss = false;  // it can spread packets over queues by addresses or ports
  uint32_t min_mtu_bytes = 0, max_mtu_bytes = 0;
};

// Opens every device of the options as a start would, asks its driver, and closes it again; no packet is received. In
// the place of a Dataplane: once in a process, main thread. Errors are those of a start, such as for a device that
// another process uses.
absl::StatusOr<std::vector<DeviceReport>> InspectDevices(const DataplaneOptions& options);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_INSPECT_H_
