#include "dataplane/runtime/mbuf_pool.h"

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/runtime/memory_plan.h"

namespace sluice::runtime {

absl::StatusOr<MbufPool> CreateMbufPool(const MbufPoolOptions& options) {
  const auto failed = [&options](absl::string_view what) {
    return absl::ResourceExhaustedError(
        absl::StrCat("packet buffers: ", what, " for ", options.mbufs, " buffers of ", options.room_bytes,
                     " bytes on NUMA node ", options.socket, " failed: ", rte_strerror(rte_errno),
                     "; remedy: more huge pages (on that node), or lower memory.mbufs or the ports' descriptors"));
  };
  const unsigned flags = options.across_pages ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0;
  MbufPool pool(rte_mempool_create_empty(options.name.c_str(), options.mbufs,
                                         static_cast<unsigned>(sizeof(rte_mbuf)) + options.room_bytes, kMbufCacheSize,
                                         sizeof(rte_pktmbuf_pool_private), options.socket, flags));
  if (pool == nullptr) return failed("rte_mempool_create_empty");
  // Relaxed tail sync lets others pass a preempted thread; for workers with cores of their own the plain ring is
  // faster.
  if (rte_mempool_set_ops_byname(pool.get(), options.overcommitted ? "ring_mt_rts" : "ring_mp_mc", nullptr) != 0) {
    return failed("rte_mempool_set_ops_byname");
  }
  rte_pktmbuf_pool_private info{};
  info.mbuf_data_room_size = static_cast<uint16_t>(options.room_bytes);
  rte_pktmbuf_pool_init(pool.get(), &info);
  if (rte_mempool_populate_default(pool.get()) < 0) return failed("rte_mempool_populate_default");
  rte_mempool_obj_iter(pool.get(), rte_pktmbuf_init, nullptr);
  return pool;
}

}  // namespace sluice::runtime
