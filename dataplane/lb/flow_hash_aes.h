#ifndef SLUICE_DATAPLANE_LB_FLOW_HASH_AES_H_
#define SLUICE_DATAPLANE_LB_FLOW_HASH_AES_H_

#include <immintrin.h>

#include <cstdint>

#include "dataplane/lb/flow_hash.h"

// The flow hash of lb/flow_hash.h with AES-NI, for functions that are compiled for CPUs that have it.
namespace sluice::lb {

struct AesFlowKeys {
  __m128i k0, k1;
};

// Blocks are put together in registers: stored in parts and loaded whole, they would stall on store forwarding, which
// costs three times the hash itself (bench FlowHash).
__attribute__((target("aes,sse4.1"))) inline __m128i LoadBlock(const uint8_t* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

__attribute__((target("aes,sse4.1"))) inline AesFlowKeys LoadFlowKeys(const HashKeys& keys) {
  return {.k0 = LoadBlock(keys.flow[0].data()), .k1 = LoadBlock(keys.flow[1].data())};
}

__attribute__((target("aes,sse4.1"))) inline __m128i TwoRounds(__m128i s, const AesFlowKeys& keys) {
  return _mm_aesenc_si128(_mm_aesenc_si128(s, keys.k1), keys.k0);
}

__attribute__((target("aes,sse4.1"))) inline uint64_t FinishFlowHash(__m128i s, const AesFlowKeys& keys) {
  return static_cast<uint64_t>(_mm_cvtsi128_si64(TwoRounds(TwoRounds(s, keys), keys)));
}

// `block`: source, destination, both ports, protocol and three bytes of zero.
__attribute__((target("aes,sse4.1"))) inline uint64_t FlowHashV4(__m128i block, const AesFlowKeys& keys) {
  return FinishFlowHash(_mm_xor_si128(block, keys.k0), keys);
}

// `tail`: both ports, protocol, zeros.
__attribute__((target("aes,sse4.1"))) inline uint64_t FlowHashV6(__m128i source, __m128i destination, __m128i tail,
                                                                 const AesFlowKeys& keys) {
  __m128i s = _mm_xor_si128(source, keys.k0);
  s = _mm_xor_si128(TwoRounds(s, keys), destination);
  return FinishFlowHash(_mm_xor_si128(TwoRounds(s, keys), tail), keys);
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_FLOW_HASH_AES_H_
