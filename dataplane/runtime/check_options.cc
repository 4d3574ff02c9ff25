#include "dataplane/runtime/check_options.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/runtime/devargs.h"

namespace sluice::runtime {

absl::Status CheckOptions(const DataplaneOptions& options) {
  if (options.ports.empty()) return absl::InvalidArgumentError("node.ports is empty: give at least one port");
  if (options.ports.size() > fwd::kMaxPorts) {
    return absl::InvalidArgumentError(
        absl::StrCat("node.ports has ", options.ports.size(), " ports, the limit is ", fwd::kMaxPorts));
  }
  std::set<std::string> devices;
  for (const PortOptions& port : options.ports) {
    for (const std::string& device : port.devices) {
      if (!devices.insert(DeviceName(device)).second) {
        return absl::InvalidArgumentError(absl::StrCat("port ", port.name, ": device ", DeviceName(device),
                                                       " is named twice: number virtual devices, such as "
                                                       "net_af_packet0 and net_af_packet1"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace sluice::runtime
