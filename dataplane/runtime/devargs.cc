#include "dataplane/runtime/devargs.h"

#include <array>
#include <cctype>

#include "absl/strings/str_cat.h"

namespace sluice::runtime {
namespace {

// Drivers that are told the number of their queues by an argument.
struct QueueArgument {
  std::string_view driver;
  std::string_view key;
};
constexpr std::array<QueueArgument, 6> kQueueArguments = {{
    {"net_af_packet", "qpairs"},
    {"eth_af_packet", "qpairs"},
    {"net_af_xdp", "queue_count"},
    {"net_virtio_user", "queues"},
    {"virtio_user", "queues"},
    {"net_vhost", "queues"},
}};

// Frames of 2 kB in each direction for each descriptor asked for: 16 MB a queue at the default of 1024 descriptors.
constexpr uint32_t kAfPacketFramesPerDescriptor = 4;

bool IsHex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

// `pattern`: 'x' stands for a hexadecimal digit, everything else for itself.
bool Matches(std::string_view text, std::string_view pattern) {
  if (text.size() != pattern.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (pattern[i] == 'x' ? !IsHex(text[i]) : text[i] != pattern[i]) return false;
  }
  return true;
}

// The part before the first comma, without "pci:" or "vdev:".
std::string_view BareName(std::string_view device) {
  std::string_view name = device.substr(0, device.find(','));
  for (const std::string_view prefix : {"pci:", "vdev:"}) {
    if (name.substr(0, prefix.size()) == prefix) return name.substr(prefix.size());
  }
  return name;
}

bool IsShortPci(std::string_view name) { return Matches(name, "xx:xx.x"); }
bool IsLongPci(std::string_view name) { return Matches(name, "xxxx:xx:xx.x"); }

}  // namespace

bool IsPciDevice(std::string_view device) {
  const std::string_view name = BareName(device);
  return IsShortPci(name) || IsLongPci(name);
}

std::string DeviceName(std::string_view device) {
  const std::string_view name = BareName(device);
  return IsShortPci(name) ? "0000:" + std::string(name) : std::string(name);
}

std::optional<std::string> DeviceArgument(std::string_view device, std::string_view key) {
  size_t begin = device.find(',');
  while (begin != std::string_view::npos) {
    const size_t end = device.find(',', begin + 1);
    const std::string_view pair =
        device.substr(begin + 1, end == std::string_view::npos ? std::string_view::npos : end - begin - 1);
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == key) {
      return std::string(pair.substr(equals + 1));
    }
    begin = end;
  }
  return std::nullopt;
}

bool IsDriver(std::string_view device, std::string_view driver) {
  return BareName(device).substr(0, driver.size()) == driver;
}

std::string CompleteDevargs(std::string_view device, uint32_t queues, uint32_t descriptors) {
  std::string completed(device);
  if (queues > 1) {
    for (const QueueArgument& argument : kQueueArguments) {
      if (IsDriver(device, argument.driver) && !DeviceArgument(device, argument.key)) {
        absl::StrAppend(&completed, ",", absl::string_view(argument.key.data(), argument.key.size()), "=", queues);
      }
    }
  }
  const bool af_packet = IsDriver(device, "net_af_packet") || IsDriver(device, "eth_af_packet");
  if (af_packet && !DeviceArgument(device, "framecnt")) {
    absl::StrAppend(&completed, ",framecnt=", descriptors * kAfPacketFramesPerDescriptor);
  }
  return completed;
}

}  // namespace sluice::runtime
