#include "dataplane/runtime/memory_plan.h"

#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <algorithm>
#include <bit>

#include "dataplane/lb/connection_table.h"
#include "dataplane/lb/nat_table.h"
#include "dataplane/lb/slot_table.h"
#include "dataplane/stage/packet.h"

namespace sluice::runtime {
namespace {

// Ethernet header, two VLAN tags and a little for drivers that add bytes of their own.
constexpr uint32_t kFrameOverheadBytes = 64;

constexpr uint32_t RoundUp(uint32_t value, uint32_t unit) { return (value + unit - 1) / unit * unit; }

// A pool's ring has 2^n - 1 usable places: other sizes waste the rest of it.
uint32_t RoundUpToPoolSize(uint32_t mbufs) { return std::bit_ceil(mbufs + 1) - 1; }

uint64_t PoolBytes(uint32_t mbufs, uint32_t room_bytes) {
  return uint64_t{mbufs} * MbufStrideBytes(room_bytes) + uint64_t{std::bit_ceil(mbufs + 1)} * sizeof(void*) +
         uint64_t{RTE_MAX_LCORE} * sizeof(rte_mempool_cache);
}

uint32_t NeededMbufs(const DataplaneOptions& options) {
  const auto workers = options.workers;
  const auto ports = static_cast<uint32_t>(options.ports.size());
  uint32_t mbufs = 0;
  for (const PortOptions& port : options.ports) {
    // All descriptors of all queues full; a port has as many queues as there are workers, over all its devices.
    mbufs += workers * (port.rx_descriptors + port.tx_descriptors);
    if (!port.exception_interface.empty()) mbufs += kPuntRingTotal;
  }
  // What workers hold themselves: a burst being worked on, two transmit buffers for each port, and their caches, which
  // a pool lets grow to one and a half times their size.
  mbufs += workers * (2 * static_cast<uint32_t>(stage::kBurstSize) * (ports + 1) + kMbufCacheSize * 3 / 2);
  // Fragments that wait, and what is on its way from worker to worker.
  mbufs += workers * options.fragments_held;
  if (workers > 1) mbufs += workers * (kHandoverRingSize + workers * static_cast<uint32_t>(stage::kBurstSize));
  return mbufs;
}

}  // namespace

uint32_t MbufStrideBytes(uint32_t room_bytes) {
  return RoundUp(static_cast<uint32_t>(sizeof(rte_mempool_objhdr)), RTE_CACHE_LINE_SIZE) +
         RoundUp(static_cast<uint32_t>(sizeof(rte_mbuf)) + room_bytes, RTE_CACHE_LINE_SIZE);
}

uint32_t SpreadRoomBytes(uint32_t room_bytes) {
  const uint32_t room = RoundUp(room_bytes, RTE_CACHE_LINE_SIZE);
  return MbufStrideBytes(room) / RTE_CACHE_LINE_SIZE % 2 == 1 ? room : room + RTE_CACHE_LINE_SIZE;
}

MemoryPlan PlanMemory(const DataplaneOptions& options) {
  MemoryPlan plan;
  plan.mbufs = options.mbufs != 0 ? options.mbufs : RoundUpToPoolSize(NeededMbufs(options));
  plan.mbuf_room_bytes = SpreadRoomBytes(RTE_PKTMBUF_HEADROOM + options.mbuf_data_bytes);
  uint32_t host_mbufs = 0;
  uint32_t largest_mtu = 0;
  for (const PortOptions& port : options.ports) {
    if (port.exception_interface.empty()) continue;
    // They wait in the ring to the worker and in the device's transmit queue.
    host_mbufs += kHostRingSize + port.tx_descriptors + static_cast<uint32_t>(stage::kBurstSize);
    largest_mtu = std::max(largest_mtu, port.mtu_bytes);
  }
  if (host_mbufs != 0) {
    plan.host_mbufs = RoundUpToPoolSize(host_mbufs);
    plan.host_room_bytes = SpreadRoomBytes(RTE_PKTMBUF_HEADROOM + largest_mtu + kFrameOverheadBytes);
  }
  plan.pool_bytes = PoolBytes(plan.mbufs, plan.mbuf_room_bytes);
  if (plan.host_mbufs != 0) plan.pool_bytes += PoolBytes(plan.host_mbufs, plan.host_room_bytes);
  plan.connection_bytes = uint64_t{options.workers} * (lb::ConnectionTableV4::BytesFor(options.connections_v4) +
                                                       lb::ConnectionTableV6::BytesFor(options.connections_v6) +
                                                       lb::ConnectionTableWide::BytesFor(options.connections_wide) +
                                                       lb::NatTable::BytesFor(options.nat_sessions) +
                                                       lb::SlotTable::BytesFor(options.connections_stateful));
  return plan;
}

}  // namespace sluice::runtime
