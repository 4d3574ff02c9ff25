#include "controlplane/app/memory.h"

#include <charconv>
#include <fstream>
#include <iterator>
#include <string>

namespace sluice::app {

uint64_t AvailableBytesIn(std::string_view meminfo) {
  constexpr std::string_view kKey = "MemAvailable:";
  const size_t key = meminfo.find(kKey);
  if (key == std::string_view::npos) return 0;
  const size_t digits = meminfo.find_first_not_of(' ', key + kKey.size());
  if (digits == std::string_view::npos) return 0;
  uint64_t kib = 0;
  std::from_chars(meminfo.data() + digits, meminfo.data() + meminfo.size(), kib);
  return kib << 10;
}

uint64_t AvailableBytes() {
  std::ifstream file("/proc/meminfo");
  return AvailableBytesIn(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace sluice::app
