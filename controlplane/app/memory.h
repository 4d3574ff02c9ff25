#ifndef SLUICE_CONTROLPLANE_APP_MEMORY_H_
#define SLUICE_CONTROLPLANE_APP_MEMORY_H_

#include <cstdint>
#include <string_view>

namespace sluice::app {

// Bytes that the machine can still give without swapping (MemAvailable); 0: unknown.
uint64_t AvailableBytes();
// The same of a text in the form of /proc/meminfo.
uint64_t AvailableBytesIn(std::string_view meminfo);

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_MEMORY_H_
