#ifndef SLUICE_DATAPLANE_RUNTIME_HANDOVER_QUEUE_H_
#define SLUICE_DATAPLANE_RUNTIME_HANDOVER_QUEUE_H_

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <cstddef>

#include "dataplane/runtime/memory_plan.h"
#include "dataplane/runtime/punt_queue.h"

namespace sluice::runtime {

// Packets for one worker from all the others: fragments, and replies of NAT flows that the network brought elsewhere.
// One ring with many producers rather than one for each pair of workers: an idle one costs its owner a single look, and
// bursts share out the cost of the atomic operation.
class HandoverQueue {
 public:
  // Relaxed tail sync: a worker that is preempted while it puts does not hold up the others.
  HandoverQueue() : ring_(MakeRing("handover", kHandoverRingSize, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ)) {}

  // Other workers; no system call. Returns how many it took, the first ones; the rest stay the caller's.
  size_t Put(rte_mbuf** mbufs, size_t count) {
    return rte_ring_enqueue_burst(ring_.get(), reinterpret_cast<void**>(mbufs), static_cast<unsigned>(count), nullptr);
  }
  // The owner.
  size_t Take(rte_mbuf** mbufs, size_t count) {
    return rte_ring_dequeue_burst(ring_.get(), reinterpret_cast<void**>(mbufs), static_cast<unsigned>(count), nullptr);
  }
  // Any thread.
  size_t size() const { return rte_ring_count(ring_.get()); }

 private:
  const Ring ring_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_HANDOVER_QUEUE_H_
