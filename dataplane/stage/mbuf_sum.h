#ifndef SLUICE_DATAPLANE_STAGE_MBUF_SUM_H_
#define SLUICE_DATAPLANE_STAGE_MBUF_SUM_H_

#include <rte_mbuf.h>

#include <algorithm>
#include <cstdint>

#include "dataplane/net/checksum.h"

namespace sluice::stage {

// net::PartialSum over `size` bytes from `offset` of a packet in any number of buffers, added to `sum`. Bytes beyond
// the packet's end count as none.
inline uint32_t PartialSumOf(const rte_mbuf* mbuf, uint32_t offset, uint32_t size, uint32_t sum) {
  bool odd = false;  // bytes summed so far
  for (; mbuf != nullptr && size > 0; mbuf = mbuf->next) {
    const uint32_t here = rte_pktmbuf_data_len(mbuf);
    if (offset >= here) {
      offset -= here;
      continue;
    }
    const uint32_t part_size = std::min(here - offset, size);
    const uint16_t part =
        net::FoldSum(net::PartialSum(rte_pktmbuf_mtod_offset(mbuf, const uint8_t*, offset), part_size));
    // A part that begins at an odd byte has its bytes in the other halves of the words.
    sum += odd ? __builtin_bswap16(part) : part;
    odd ^= (part_size & 1) != 0;
    size -= part_size;
    offset = 0;
  }
  return sum;
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_MBUF_SUM_H_
