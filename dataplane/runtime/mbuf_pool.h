#ifndef SLUICE_DATAPLANE_RUNTIME_MBUF_POOL_H_
#define SLUICE_DATAPLANE_RUNTIME_MBUF_POOL_H_

#include <rte_mempool.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace sluice::runtime {

struct MbufPoolDeleter {
  void operator()(rte_mempool* pool) const { rte_mempool_free(pool); }
};
using MbufPool = std::unique_ptr<rte_mempool, MbufPoolDeleter>;

struct MbufPoolOptions {
  std::string name;  // at most 25 characters
  uint32_t mbufs = 0;
  uint32_t room_bytes = 0;  // with headroom
  int socket = 0;           // NUMA node
  // Buffers may lie across pages: set without huge pages, where each would otherwise begin its own 4 KB page, and all
  // packet headers would compete for the same cache sets.
  bool across_pages = false;
  // Threads share cores: the pool's ring must not make a thread wait for one that was preempted.
  bool overcommitted = false;
};

absl::StatusOr<MbufPool> CreateMbufPool(const MbufPoolOptions& options);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_MBUF_POOL_H_
