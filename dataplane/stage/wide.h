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

// All lanes of 32 bits together, by what puts four and four of them together.
template <typename Both>
SLUICE_FAST_PATH inline uint32_t Fold(__m256i lanes, const Both& both) {
  __m128i half = both(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  half = both(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(1, 0, 3, 2)));
  half = both(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(2, 3, 0, 1)));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(half));
}
SLUICE_FAST_PATH inline uint32_t Sum(__m256i lanes) {
  return Fold(lanes, [](__m128i a, __m128i b) SLUICE_FAST_PATH { return _mm_add_epi32(a, b); });
}
SLUICE_FAST_PATH inline uint32_t Max(__m256i lanes) {
  return Fold(lanes, [](__m128i a, __m128i b) SLUICE_FAST_PATH { return _mm_max_epu32(a, b); });
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_WIDE_H_
