#ifndef SLUICE_DATAPLANE_RUNTIME_MEMORY_PLAN_H_
#define SLUICE_DATAPLANE_RUNTIME_MEMORY_PLAN_H_

#include <cstdint>

#include "dataplane/runtime/options.h"

namespace sluice::runtime {

// Packet buffers that one core may keep to itself (mempool cache).
inline constexpr uint32_t kMbufCacheSize = 256;

// Rings of each exception port, in packets; powers of two. See punt_queue.h for their meaning.
inline constexpr uint32_t kPuntRingSizes[] = {256, 256, 512, 128, 512};
inline constexpr uint32_t kPuntRingTotal = 256 + 512 + 128 + 512;
inline constexpr uint32_t kHostRingSize = 512;
// Packets that wait for one worker to take them from the others; a power of two.
inline constexpr uint32_t kHandoverRingSize = 1024;

// How many packet buffers, and how much memory, the options ask for.
struct MemoryPlan {
  uint32_t mbufs = 0;             // of one NUMA node with ports
  uint32_t mbuf_room_bytes = 0;   // data room of one buffer, headroom included
  uint32_t host_mbufs = 0;        // for packets from the host's kernel; 0: no exception port
  uint32_t host_room_bytes = 0;   // fits one frame of the largest MTU
  uint64_t pool_bytes = 0;        // both pools with everything around them
  uint64_t connection_bytes = 0;  // the connection and session tables of all workers
};

// Bytes that one object of a packet buffer pool occupies, with a data room of `room_bytes`.
uint32_t MbufStrideBytes(uint32_t room_bytes);

// The smallest data room of at least `room_bytes` for which the stride is an odd number of cache lines. Then
// consecutive buffers' headers spread over all sets of the caches; with a stride that is a multiple of a large power of
// two they would all compete for a few sets, which costs a factor of 2 to 3.
uint32_t SpreadRoomBytes(uint32_t room_bytes);

MemoryPlan PlanMemory(const DataplaneOptions& options);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_MEMORY_PLAN_H_
