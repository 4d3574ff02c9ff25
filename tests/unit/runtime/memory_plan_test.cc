#include "dataplane/runtime/memory_plan.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

namespace sluice::runtime {
namespace {

DataplaneOptions OnePort() {
  DataplaneOptions options;
  PortOptions& port = options.ports.emplace_back();
  port.devices = {"net_null0"};
  port.exception_interface = "sl-wan";
  return options;
}

TEST(MemoryPlanTest, StrideIsWhatDpdkMakesOfIt) {
  for (uint32_t room = 640; room < 4096; room += 64) {
    const uint32_t spread = SpreadRoomBytes(room);
    rte_mempool_objsz size{};
    rte_mempool_calc_obj_size(static_cast<uint32_t>(sizeof(rte_mbuf)) + spread, 0, &size);
    EXPECT_EQ(size.total_size, MbufStrideBytes(spread)) << room;
    EXPECT_EQ(size.total_size / 64 % 2, 1u) << room;
    EXPECT_GE(spread, room);
    EXPECT_LE(spread, room + 64) << room;
  }
}

TEST(MemoryPlanTest, CoversAllDescriptorsRingsAndCaches) {
  DataplaneOptions options = OnePort();
  options.workers = 4;
  options.ports[0].rx_descriptors = 2048;
  options.ports[0].tx_descriptors = 512;
  const MemoryPlan plan = PlanMemory(options);
  EXPECT_GE(plan.mbufs, 4 * (2048 + 512) + kPuntRingTotal + 4 * kMbufCacheSize * 3 / 2);
  EXPECT_GE(plan.host_mbufs, kHostRingSize + 512);
  EXPECT_GT(plan.pool_bytes, uint64_t{plan.mbufs} * plan.mbuf_room_bytes);
}

TEST(MemoryPlanTest, EachTableIsCountedForEachWorker) {
  DataplaneOptions options = OnePort();
  options.workers = 3;
  const uint64_t before = PlanMemory(options).connection_bytes;
  // Doubled: 32, 64 and 128 bytes for each of the new connections.
  options.connections_v4 *= 2;
  EXPECT_EQ(PlanMemory(options).connection_bytes - before, 3u * 32 * options.connections_v4 / 2);
  const uint64_t with_v4 = PlanMemory(options).connection_bytes;
  options.connections_v6 *= 2;
  EXPECT_EQ(PlanMemory(options).connection_bytes - with_v4, 3u * 64 * options.connections_v6 / 2);
  const uint64_t with_v6 = PlanMemory(options).connection_bytes;
  options.connections_wide *= 2;
  EXPECT_EQ(PlanMemory(options).connection_bytes - with_v6, 3u * 128 * options.connections_wide / 2);
  const uint64_t with_wide = PlanMemory(options).connection_bytes;
  options.nat_sessions *= 2;
  EXPECT_EQ(PlanMemory(options).connection_bytes - with_wide, 3u * 193 * options.nat_sessions / 2);
  // A slot takes 33 bytes, and there is a third more of them than connections, in whole blocks.
  const uint64_t with_nat = PlanMemory(options).connection_bytes;
  options.connections_stateful *= 3;
  const auto blocks = [](uint64_t connections) { return (connections * 4 / 3 + 255) / 256; };
  EXPECT_EQ(PlanMemory(options).connection_bytes - with_nat,
            3 * (blocks(options.connections_stateful) - blocks(options.connections_stateful / 3)) * (256 * 33 + 4));
}

TEST(MemoryPlanTest, TakesTheUsersNumber) {
  DataplaneOptions options = OnePort();
  options.mbufs = 12345;
  EXPECT_EQ(PlanMemory(options).mbufs, 12345u);
}

TEST(MemoryPlanTest, HostBuffersFitTheLargestMtu) {
  DataplaneOptions options = OnePort();
  options.ports[0].mtu_bytes = 9000;
  EXPECT_GE(PlanMemory(options).host_room_bytes, RTE_PKTMBUF_HEADROOM + 9000u + 14 + 8);
}

TEST(MemoryPlanTest, WithoutExceptionPortsNoHostBuffers) {
  DataplaneOptions options = OnePort();
  options.ports[0].exception_interface.clear();
  EXPECT_EQ(PlanMemory(options).host_mbufs, 0u);
}

}  // namespace
}  // namespace sluice::runtime
