#ifndef SLUICE_DATAPLANE_STAGE_FAST_OUTER_V4_H_
#define SLUICE_DATAPLANE_STAGE_FAST_OUTER_V4_H_

#include <immintrin.h>
#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/outer_header.h"
#include "dataplane/stage/wide.h"

// How the fast path puts IP packets into tunnels of IP in IPv4.
namespace sluice::stage {

// Of a frame whose IP packet has headers of so many bytes in front, but for Ethernet's. What follows the IP packet is
// Ethernet padding, and left out.
inline void SetFrameBytes(rte_mbuf* mbuf, uint32_t headers, uint64_t ip_bytes) {
  uint64_t frame_bytes = kL3 + headers + ip_bytes;
  // Or the compiler would compute its lower half once more.
  asm("" : "+r"(frame_bytes));
  mbuf->data_len = static_cast<uint16_t>(frame_bytes);
  mbuf->pkt_len = static_cast<uint32_t>(frame_bytes);
}

// The start of a backend's line, in which the outer header has the protocol of IP in IP of its own family, with that of
// `inner`.
template <net::Family inner, net::Family outer>
SLUICE_FAST_PATH inline __m256i WithProtocol(__m256i start) {
  if constexpr (inner == outer) return start;
  constexpr size_t kAt = kL3 + (outer == net::Family::kIpv4 ? offsetof(net::Ipv4Header, protocol)
                                                            : offsetof(net::Ipv6Header, next_header));
  alignas(32) static constexpr auto kChange = [] {
    std::array<uint8_t, sizeof(__m256i)> bytes{};
    bytes[kAt] = InnerProtocol(inner) ^ InnerProtocol(outer);
    return bytes;
  }();
  return _mm256_xor_si256(start, LoadAligned32(kChange.data()));
}

// TOS and total length of an outer IPv4 header, in host byte order, as checksums are summed: the length in the lower
// half of the first 32 bits, the TOS in the upper one. The others are nobody's.
template <net::Family inner>
SLUICE_FAST_PATH inline __m128i TosAndLength(const uint8_t* ip, uint64_t ip_bytes) {
  constexpr int kOverhead = OuterIpBytes(net::Family::kIpv4);
  if constexpr (inner == net::Family::kIpv4) {
    static_assert(offsetof(net::Ipv4Header, tos) == 1 && offsetof(net::Ipv4Header, total_length) == 2);
    const __m128i host_order = _mm_setr_epi8(3, 2, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i inner_ones = _mm_shuffle_epi8(_mm_cvtsi32_si128(net::Load<int32_t>(ip)), host_order);
    return _mm_add_epi32(inner_ones, _mm_set1_epi32(kOverhead));
  }
  return _mm_cvtsi32_si128(static_cast<int>(uint64_t{TrafficClassOf(ip, inner)} << 16 | (ip_bytes + kOverhead)));
}

// The outer header's checksum, in the upper half of the first 32 bits.
template <net::Family inner>
SLUICE_FAST_PATH inline __m128i ChecksumOf(const fwd::BackendEntry& backend, __m128i tos_and_length) {
  constexpr int kProtocolSum = InnerProtocol(inner) - InnerProtocol(net::Family::kIpv4);
  if constexpr (kProtocolSum != 0) tos_and_length = _mm_add_epi32(tos_and_length, _mm_set1_epi32(kProtocolSum));
  const uint8_t* const outer_sum = backend.outer.data() + fwd::BackendEntry::kOuterSum;
  const __m128i sum = _mm_add_epi32(tos_and_length, _mm_loadu_si128(reinterpret_cast<const __m128i*>(outer_sum)));
  const __m128i halves_swapped = _mm_shufflelo_epi16(sum, 0b10'11'00'01);
  return _mm_xor_si128(_mm_add_epi32(sum, halves_swapped), _mm_set1_epi32(-1));
}

// Writes Ethernet and outer IP header of a frame that has room for them: what varies by packet is put into its places
// among the backend's line. `tos_and_length`: see TosAndLength.
template <net::Family inner, bool device_sums>
SLUICE_FAST_PATH inline void WriteHeadersV4(rte_mbuf* mbuf, uint8_t* frame, const fwd::BackendEntry& backend,
                                            __m128i tos_and_length) {
  __m128i checksum = _mm_setzero_si128();
  if constexpr (device_sums) {
    LeaveChecksumToDevice(mbuf, kL3);
  } else {
    checksum = ChecksumOf<inner>(backend, tos_and_length);
  }
  const auto* const line = reinterpret_cast<const uint8_t*>(&backend);
  const __m256i places = _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2,  //
                                          1, 0, -1, -1, -1, -1, -1, -1, 7, 6, -1, -1, -1, -1, -1, -1);
  const __m256i varying = _mm256_broadcastq_epi64(_mm_unpacklo_epi32(tos_and_length, checksum));
  const __m256i start = WithProtocol<inner, net::Family::kIpv4>(LoadAligned32(&backend));
  const auto end = net::Load<uint16_t>(line + sizeof(start));
  StoreAnywhere32(frame, _mm256_or_si256(start, _mm256_shuffle_epi8(varying, places)));
  net::Store(frame + sizeof(start), end);
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_OUTER_V4_H_
