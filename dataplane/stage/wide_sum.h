#ifndef SLUICE_DATAPLANE_STAGE_WIDE_SUM_H_
#define SLUICE_DATAPLANE_STAGE_WIDE_SUM_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "dataplane/net/checksum.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/wide.h"

// The sums of net/checksum.h, 32 bytes at once.
namespace sluice::stage {

// Words of 32 bits added in pairs, to four of 64.
SLUICE_FAST_PATH inline __m256i AddPairs(__m256i words) {
  return _mm256_add_epi64(_mm256_srli_epi64(words, 32), _mm256_blend_epi32(words, _mm256_setzero_si256(), 0b10101010));
}
SLUICE_FAST_PATH inline uint64_t AddFour(__m256i words) {
  const __m128i halves = _mm_add_epi64(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(halves) + _mm_extract_epi64(halves, 1));
}

// The plain sum of eight words, which counts as one of twice as many of 16 bits (net::ChecksumDelta::Replace).
SLUICE_FAST_PATH inline uint64_t SumOf(__m256i words) { return AddFour(AddPairs(words)); }

// The plain sum of `size` bytes, at most 64 KiB.
SLUICE_FAST_PATH inline uint64_t SumOf(const uint8_t* data, size_t size) {
  __m256i sum = _mm256_setzero_si256();
  for (; size >= sizeof(sum); size -= sizeof(sum), data += sizeof(sum)) {
    sum = _mm256_add_epi64(sum, AddPairs(LoadAnywhere32(data)));
  }
  if (size >= sizeof(__m128i)) {
    sum = _mm256_add_epi64(sum,
                           AddPairs(_mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data)))));
    size -= sizeof(__m128i);
    data += sizeof(__m128i);
  }
  return AddFour(sum) + net::PartialSum(data, size);
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_WIDE_SUM_H_
