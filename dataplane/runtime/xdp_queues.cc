#include "dataplane/runtime/xdp_queues.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "absl/strings/numbers.h"
#include "dataplane/base/log.h"
#include "dataplane/runtime/devargs.h"

namespace sluice::runtime {
namespace {

uint32_t NumberArgument(const std::string& device, std::string_view key, uint32_t otherwise) {
  const std::optional<std::string> text = DeviceArgument(device, key);
  uint32_t number = 0;
  return text && absl::SimpleAtoi(*text, &number) ? number : otherwise;
}

}  // namespace

std::map<std::string, std::set<uint32_t>> XdpQueues(const std::vector<std::string>& devices,
                                                    uint32_t queues_per_device) {
  // No interface has more; a larger number is the driver's to refuse.
  constexpr uint32_t kMaxQueues = 1024;
  std::map<std::string, std::set<uint32_t>> queues;
  for (const std::string& device : devices) {
    const std::optional<std::string> interface = DeviceArgument(device, "iface");
    if (!IsDriver(device, "net_af_xdp") || !interface) continue;
    const uint32_t first = NumberArgument(device, "start_queue", 0);
    const uint32_t count = std::min(NumberArgument(device, "queue_count", queues_per_device), kMaxQueues);
    for (uint32_t i = 0; i < count; ++i) queues[*interface].insert(first + i);
  }
  return queues;
}

std::optional<uint32_t> InterfaceRxQueues(const std::string& interface) {
  ifreq request{};
  if (interface.size() >= sizeof(request.ifr_name)) return std::nullopt;
  std::memcpy(request.ifr_name, interface.c_str(), interface.size() + 1);
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  request.ifr_data = reinterpret_cast<char*>(&channels);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  const int result = ioctl(fd, SIOCETHTOOL, &request);
  close(fd);
  const uint32_t queues = channels.rx_count + channels.combined_count;
  if (result < 0 || queues == 0) return std::nullopt;
  return queues;
}

void WarnOfUncoveredQueues(const std::string& port, const std::vector<std::string>& devices,
                           uint32_t queues_per_device) {
  for (const auto& [interface, taken] : XdpQueues(devices, queues_per_device)) {
    const std::optional<uint32_t> queues = InterfaceRxQueues(interface);
    if (!queues || taken.size() >= *queues) continue;
    SLUICE_LOG(kWarning) << "port " << port << ": interface " << interface << " has " << *queues
                         << " receive queues, and the port's devices take " << taken.size()
                         << " of them; packets of the others never reach a worker. Remedy: ethtool -L "
                         << interface << " combined " << taken.size() << ", or a device for each queue (start_queue=)";
  }
}

}  // namespace sluice::runtime
