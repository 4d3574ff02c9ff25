#ifndef SLUICE_DATAPLANE_STAGE_FRAME_BYTES_H_
#define SLUICE_DATAPLANE_STAGE_FRAME_BYTES_H_

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.h"
#include "dataplane/fwd/worker_counters.h"

namespace sluice::stage {

// Of whole packets, which may be chains of buffers.
inline uint64_t FrameBytes(rte_mbuf* const* mbufs, size_t count) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; ++i) bytes += rte_pktmbuf_pkt_len(mbufs[i]);
  return bytes;
}

// Counts packets that came by `port`. `bytes`: their FrameBytes.
inline void CountReceived(size_t count, uint64_t bytes, PortId port, fwd::WorkerCounters& counters) {
  counters.received.Add(count);
  fwd::PortCounters& port_counters = counters.ports[port.index()];
  port_counters.rx_packets.Add(count);
  port_counters.rx_bytes.Add(bytes);
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FRAME_BYTES_H_
