#include "dataplane/runtime/punt_queue.h"

#include "dataplane/base/check.h"
#include "dataplane/runtime/memory_plan.h"

namespace sluice::runtime {
namespace {

// A flood of control packets may hold up the others, but not the thread: it has packets of the kernel to read too.
constexpr size_t kMaxControlBatches = 8;

}  // namespace

Ring MakeRing(const char* name, uint32_t size, unsigned flags) {
  const ssize_t bytes = rte_ring_get_memsize(size);
  SLUICE_CHECK(bytes > 0);
  const size_t rounded = (static_cast<size_t>(bytes) + size_t{RTE_CACHE_LINE_SIZE} - 1) / size_t{RTE_CACHE_LINE_SIZE} *
                         size_t{RTE_CACHE_LINE_SIZE};
  Ring ring(static_cast<rte_ring*>(std::aligned_alloc(size_t{RTE_CACHE_LINE_SIZE}, rounded)));
  SLUICE_CHECK(ring != nullptr);
  SLUICE_CHECK(rte_ring_init(ring.get(), name, size, flags) == 0);
  return ring;
}

PuntQueue::PuntQueue() {
  for (size_t i = 0; i < rings_.size(); ++i) {
    // Relaxed tail sync: a worker that is preempted while it puts does not hold up the others.
    rings_[i] = MakeRing("punt", kPuntRingSizes[i], RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
  }
}

size_t PuntQueue::size() const {
  size_t packets = 0;
  for (const Ring& ring : rings_) packets += rte_ring_count(ring.get());
  return packets;
}

size_t ServePuntTurn(const ServeClass& serve) {
  const auto control = [&serve] {
    size_t served = 0;
    for (size_t i = 0; i < kMaxControlBatches; ++i) {
      const size_t n = serve(stage::PuntClass::kControl, kPuntQuantum[0]);
      served += n;
      if (n < kPuntQuantum[0]) break;
    }
    return served;
  };
  size_t served = 0;
  for (size_t i = 1; i < stage::kPuntClassCount; ++i) {
    served += control();
    served += serve(static_cast<stage::PuntClass>(i), kPuntQuantum[i]);
  }
  return served;
}

}  // namespace sluice::runtime
