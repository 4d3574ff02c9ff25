#ifndef SLUICE_DATAPLANE_RUNTIME_PUNT_QUEUE_H_
#define SLUICE_DATAPLANE_RUNTIME_PUNT_QUEUE_H_

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>

#include "dataplane/base/ids.h"
#include "dataplane/stage/packet.h"

namespace sluice::runtime {

struct RingDeleter {
  void operator()(rte_ring* ring) const { std::free(ring); }
};
using Ring = std::unique_ptr<rte_ring, RingDeleter>;

// A bounded ring of pointers, `size` (a power of two) - 1 of them; `flags` as of rte_ring_init. Needs no EAL.
Ring MakeRing(const char* name, uint32_t size, unsigned flags);

// What waits for one port's exception port: a ring for each class, so that a flood of one class fills its own ring
// only. All workers put, the exception thread alone takes.
class PuntQueue {
 public:
  PuntQueue();

  // Worker threads; no system call. False: the class's ring is full, the packet stays the caller's.
  bool Put(stage::PuntClass punt_class, rte_mbuf* mbuf) {
    return rte_ring_enqueue(rings_[static_cast<size_t>(punt_class)].get(), mbuf) == 0;
  }
  // The exception thread.
  size_t Take(stage::PuntClass punt_class, rte_mbuf** mbufs, size_t count) {
    return rte_ring_dequeue_burst(rings_[static_cast<size_t>(punt_class)].get(), reinterpret_cast<void**>(mbufs),
                                  static_cast<unsigned>(count), nullptr);
  }
  // Any thread.
  size_t size() const;
  size_t size(stage::PuntClass punt_class) const {
    return rte_ring_count(rings_[static_cast<size_t>(punt_class)].get());
  }

 private:
  std::array<Ring, stage::kPuntClassCount> rings_;
};

// How many packets of each class one turn may deliver. Control packets have no limit but the batch: they are served
// again before each other class. Routing and management get four times what ICMP and the rest get.
inline constexpr size_t kPuntBatch = 32;
inline constexpr std::array<size_t, stage::kPuntClassCount> kPuntQuantum = {kPuntBatch, kPuntBatch, kPuntBatch, 8, 8};

// Takes up to `count` packets of a class and deals with them; returns how many.
using ServeClass = std::function<size_t(stage::PuntClass punt_class, size_t count)>;

// One turn over the classes of all queues behind `serve`: control until there is none left, then routing, control
// again, management, and so on to the rest. A flood of any lower class delays a control packet by one quantum of that
// class. Returns how many were served; a turn is bounded, and what is left waits for the next.
size_t ServePuntTurn(const ServeClass& serve);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_PUNT_QUEUE_H_
