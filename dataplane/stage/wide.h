#ifndef SLUICE_DATAPLANE_STAGE_WIDE_H_
#define SLUICE_DATAPLANE_STAGE_WIDE_H_

#include <immintrin.h>

#include <cstdint>

#include "dataplane/stage/fast_path.h"

// 32 bytes at once, at addresses of any alignment. Of the usual intrinsics for these g++ makes two or three
// instructions where its tuning is for older CPUs.
namespace sluice::stage {

SLUICE_FAST_PATH inline __m256i LoadAnywhere32(const uint8_t* at) {
  return _mm256_lddqu_si256(reinterpret_cast<const __m256i*>(at));
}

template <typename T>
SLUICE_FAST_PATH inline void StoreAnywhere32(T* at, __m256i bytes) {
  asm("vmovdqu %1, %0" : "=m"(*reinterpret_cast<T(*)[sizeof(bytes) / sizeof(T)]>(at)) : "x"(bytes));
}

// `lanes` and the bytes.
SLUICE_FAST_PATH inline __m256i XorAnywhere32(__m256i lanes, const uint8_t* at) {
  __m256i different;
  asm("vpxor %2, %1, %0"
      : "=x"(different)
      : "x"(lanes), "m"(*reinterpret_cast<const uint8_t(*)[sizeof(different)]>(at)));
  return different;
}

SLUICE_FAST_PATH inline __m256i LoadAligned32(const void* at) {
  return _mm256_load_si256(static_cast<const __m256i*>(at));
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_WIDE_H_
