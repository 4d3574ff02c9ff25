#ifndef SLUICE_TOOLS_REPLAY_EAL_H_
#define SLUICE_TOOLS_REPLAY_EAL_H_

#include <rte_mbuf.h>

#include <cstdint>

#include "absl/status/status.h"

namespace sluice::replay {

// Initialises DPDK for a process that only needs packet buffers: no hugepages, devices, root, files or telemetry, and
// no output but errors. Once in a process; later calls return OK. Main thread.
absl::Status InitEalForBuffersOnly();

// A copy of `size` bytes as the driver of a device would hand it over: in as many buffers of `pool` as it takes, the
// first with the usual headroom. Null when the pool is empty.
rte_mbuf* MakeMbuf(rte_mempool* pool, const uint8_t* bytes, uint32_t size);

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_EAL_H_
