#ifndef SLUICE_TESTS_FUZZ_EXACT_MBUF_H_
#define SLUICE_TESTS_FUZZ_EXACT_MBUF_H_

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::test {

// Packet buffers whose data ends where the heap block ends, so that AddressSanitizer sees a read or write beyond the
// packet. DPDK's own pools are one block to it.

// A pool of mbufs for MakeExactMbuf. EAL is up.
rte_mempool* MakeExactMbufPool(const char* name, unsigned count);

// A copy of `size` bytes (at most 65 000 a buffer) with the usual headroom: the first buffer holds `first` of them, and
// another the rest, if any.
rte_mbuf* MakeExactMbuf(rte_mempool* pool, const uint8_t* bytes, size_t size, size_t first);

// What all buffers of a packet hold.
std::vector<uint8_t> BytesOf(const rte_mbuf* mbuf);

}  // namespace sluice::test

#endif  // SLUICE_TESTS_FUZZ_EXACT_MBUF_H_
