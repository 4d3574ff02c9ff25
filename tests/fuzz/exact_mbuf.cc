#include "tests/fuzz/exact_mbuf.h"

#include <cstdlib>
#include <cstring>

#include "dataplane/base/check.h"

namespace sluice::test {
namespace {

// The shared info lies in a block of its own: behind the data it would be what an overrun reads.
void FreeBuffer(void* buffer, void* info) {
  std::free(buffer);
  std::free(info);
}

rte_mbuf* MakeSegment(rte_mempool* pool, const uint8_t* bytes, size_t size, size_t headroom) {
  rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool);
  SLUICE_CHECK(mbuf != nullptr);
  const size_t length = headroom + size;
  SLUICE_CHECK(length <= UINT16_MAX);
  auto* const buffer = static_cast<uint8_t*>(std::malloc(length > 0 ? length : 1));
  auto* const info = static_cast<rte_mbuf_ext_shared_info*>(std::malloc(sizeof(rte_mbuf_ext_shared_info)));
  SLUICE_CHECK(buffer != nullptr && info != nullptr);
  if (size > 0) std::memcpy(buffer + headroom, bytes, size);
  info->free_cb = FreeBuffer;
  info->fcb_opaque = info;
  rte_mbuf_ext_refcnt_set(info, 1);
  rte_pktmbuf_attach_extbuf(mbuf, buffer, RTE_BAD_IOVA, static_cast<uint16_t>(length), info);
  mbuf->data_off = static_cast<uint16_t>(headroom);
  mbuf->data_len = static_cast<uint16_t>(size);
  mbuf->pkt_len = static_cast<uint32_t>(size);
  return mbuf;
}

}  // namespace

rte_mempool* MakeExactMbufPool(const char* name, unsigned count) {
  rte_mempool* const pool = rte_pktmbuf_pool_create(name, count, 0, 0, 0, SOCKET_ID_ANY);
  SLUICE_CHECK(pool != nullptr);
  return pool;
}

rte_mbuf* MakeExactMbuf(rte_mempool* pool, const uint8_t* bytes, size_t size, size_t first) {
  SLUICE_CHECK(first <= size);
  rte_mbuf* const head = MakeSegment(pool, bytes, first, RTE_PKTMBUF_HEADROOM);
  if (first == size) return head;
  head->next = MakeSegment(pool, bytes + first, size - first, 0);
  head->nb_segs = 2;
  head->pkt_len = static_cast<uint32_t>(size);
  return head;
}

std::vector<uint8_t> BytesOf(const rte_mbuf* mbuf) {
  std::vector<uint8_t> bytes;
  for (const rte_mbuf* s = mbuf; s != nullptr; s = s->next) {
    const auto* const data = rte_pktmbuf_mtod(s, const uint8_t*);
    bytes.insert(bytes.end(), data, data + s->data_len);
  }
  return bytes;
}

}  // namespace sluice::test
