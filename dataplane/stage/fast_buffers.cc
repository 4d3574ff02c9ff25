#include "dataplane/stage/fast_buffers.h"

#include <algorithm>

#include "dataplane/base/prefetch.h"
#include "dataplane/stage/frame_bytes.h"
#include "dataplane/stage/wide.h"

namespace sluice::stage {
namespace {

// Of IPv6 what is needed goes on in the second line: TCP's flags; and of cookies, which lie in TSecr. Of a frame that
// has none, the first once more: what is fetched for nothing costs a tenth of all (rows of 66 B). (In a chain of
// buffers it may lie in the next one; those are the stages'.)
inline void PrefetchSecondLine(const uint8_t* frame, size_t bytes, size_t in_second_line) {
  PrefetchLine(frame + std::min(bytes, in_second_line) - 1);
}

template <bool second_lines>
SLUICE_FAST_PATH uint64_t Read(rte_mbuf* const* mbufs, size_t count, const uint8_t** frames, Buffers& buffers) {
  // A number that the compiler does not know: it would load it anew for each packet.
  size_t in_second_line = 65;
  asm("" : "+r"(in_second_line));
  const auto fetch = [&](size_t i) SLUICE_FAST_PATH __attribute__((always_inline)) {
    frames[i] = FrameOf(mbufs[i]);
    PrefetchLine(frames[i]);
    if constexpr (second_lines) PrefetchSecondLine(frames[i], rte_pktmbuf_data_len(mbufs[i]), in_second_line);
  };
  const size_t eights = count / kEight * kEight;
  uint64_t bytes = 0;
  for (size_t i = eights; i < count; ++i) {
    fetch(i);
    bytes += rte_pktmbuf_pkt_len(mbufs[i]);
  }
  __m128i unlike_any = _mm_setzero_si128();
  if (eights == 0) {
    buffers.unlike_any = unlike_any;
    return bytes;
  }
  const __m128i first = TraitsOf(mbufs[0]);
  __m256i sums = _mm256_setzero_si256();
  for (size_t next = 0; next != eights; next += kEight) {
    __m128i lengths = _mm_setzero_si128(), unlike = _mm_setzero_si128();
    ForEight([&](auto i) SLUICE_FAST_PATH __attribute__((always_inline)) {
      unlike = _mm_or_si128(unlike, _mm_xor_si128(TraitsOf(mbufs[next + i]), first));
      constexpr auto kLane = static_cast<int>(LaneOf(i));
      lengths = _mm_insert_epi16(lengths, rte_pktmbuf_data_len(mbufs[next + i]), kLane);
      fetch(next + i);
    });
    buffers.eights[next / kEight] = {.lengths = lengths, .unlike = unlike};
    unlike_any = _mm_or_si128(unlike_any, unlike);
    sums = _mm256_add_epi32(sums, _mm256_cvtepu16_epi32(lengths));
  }
  buffers.unlike_any = unlike_any;
  const bool each_in_one = mbufs[0]->nb_segs == 1 && _mm_testz_si128(unlike_any, _mm_set_epi64x(0, kBufferCount)) != 0;
  return bytes + (each_in_one ? Sum(sums) : FrameBytes(mbufs, eights));
}

}  // namespace

SLUICE_FAST_PATH uint64_t ReadBuffers(rte_mbuf* const* mbufs, size_t count, bool second_lines, const uint8_t** frames,
                                      Buffers& buffers) {
  return second_lines ? Read<true>(mbufs, count, frames, buffers) : Read<false>(mbufs, count, frames, buffers);
}

}  // namespace sluice::stage
