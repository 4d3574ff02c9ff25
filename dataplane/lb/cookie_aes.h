#ifndef SLUICE_DATAPLANE_LB_COOKIE_AES_H_
#define SLUICE_DATAPLANE_LB_COOKIE_AES_H_

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/lb/aes128.h"
#include "dataplane/lb/cookie_reader.h"

// Four cookies read at once; cookie.h says what is computed. A packet's AES rounds wait for each other, so those of
// four packets together take hardly longer than those of one, and the arithmetic behind them is done for four in one
// register (benchmark CookieDecode). For functions that are compiled for CPUs with AVX2, AES-NI and PCLMULQDQ.
namespace sluice::lb {

#define SLUICE_COOKIE_AES __attribute__((target("avx2,aes,pclmul"), always_inline)) inline

using FourKeys = std::array<const Aes128Key*, 4>;

struct FourBlocks {
  __m128i block[4];
};

SLUICE_COOKIE_AES __m128i RoundKeyOf(const Aes128Key& key, int round) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(key.round_key(round).data()));
}

// One round of each, and those behind it. Written out and a recursion, because compilers do not unroll such loops, and
// what a loop indexes goes through memory.
template <int round>
SLUICE_COOKIE_AES void RoundsFrom(const FourKeys& keys, FourBlocks& s) {
  if constexpr (round == Aes128Key::kRounds) {
    s.block[0] = _mm_aesenclast_si128(s.block[0], RoundKeyOf(*keys[0], round));
    s.block[1] = _mm_aesenclast_si128(s.block[1], RoundKeyOf(*keys[1], round));
    s.block[2] = _mm_aesenclast_si128(s.block[2], RoundKeyOf(*keys[2], round));
    s.block[3] = _mm_aesenclast_si128(s.block[3], RoundKeyOf(*keys[3], round));
  } else {
    s.block[0] = _mm_aesenc_si128(s.block[0], RoundKeyOf(*keys[0], round));
    s.block[1] = _mm_aesenc_si128(s.block[1], RoundKeyOf(*keys[1], round));
    s.block[2] = _mm_aesenc_si128(s.block[2], RoundKeyOf(*keys[2], round));
    s.block[3] = _mm_aesenc_si128(s.block[3], RoundKeyOf(*keys[3], round));
    RoundsFrom<round + 1>(keys, s);
  }
}

SLUICE_COOKIE_AES void XorFour(const FourBlocks& in, FourBlocks& s) {
  s.block[0] = _mm_xor_si128(s.block[0], in.block[0]);
  s.block[1] = _mm_xor_si128(s.block[1], in.block[1]);
  s.block[2] = _mm_xor_si128(s.block[2], in.block[2]);
  s.block[3] = _mm_xor_si128(s.block[3], in.block[3]);
}

// Encrypts each block with its own key.
SLUICE_COOKIE_AES void EncryptFour(const FourKeys& keys, FourBlocks& s) {
  XorFour({{RoundKeyOf(*keys[0], 0), RoundKeyOf(*keys[1], 0), RoundKeyOf(*keys[2], 0), RoundKeyOf(*keys[3], 0)}}, s);
  RoundsFrom<1>(keys, s);
}

// The first eight bytes of each.
SLUICE_COOKIE_AES __m256i FirstHalves(const FourBlocks& s) {
  const __m128i low = _mm_unpacklo_epi64(s.block[0], s.block[1]);
  const __m128i high = _mm_unpacklo_epi64(s.block[2], s.block[3]);
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

// T's first eight bytes of four packets over IPv4. `blocks`: addresses, ports, protocol, zeros.
SLUICE_COOKIE_AES __m256i TweaksV4(const FourKeys& keys, FourBlocks blocks) {
  EncryptFour(keys, blocks);
  return FirstHalves(blocks);
}

// The same over IPv6. `tails`: ports, protocol, zeros.
SLUICE_COOKIE_AES __m256i TweaksV6(const FourKeys& keys, FourBlocks sources, const FourBlocks& destinations,
                                   const FourBlocks& tails) {
  EncryptFour(keys, sources);
  XorFour(destinations, sources);
  EncryptFour(keys, sources);
  XorFour(tails, sources);
  EncryptFour(keys, sources);
  return FirstHalves(sources);
}

SLUICE_COOKIE_AES __m128i ShiftOf(uint64_t bits) { return _mm_loadu_si64(&bits); }

// Each number times the field's polynomial below x^w.
SLUICE_COOKIE_AES __m256i TimesPolynomial(const CookieReader& reader, __m256i numbers) {
  static_assert(CookieReader::kTerms == 3);
  const __m256i low = _mm256_xor_si256(numbers, _mm256_sll_epi64(numbers, ShiftOf(reader.terms[0])));
  return _mm256_xor_si256(low, _mm256_xor_si256(_mm256_sll_epi64(numbers, ShiftOf(reader.terms[1])),
                                                _mm256_sll_epi64(numbers, ShiftOf(reader.terms[2]))));
}

SLUICE_COOKIE_AES __m128i ProductOfHalves(__m128i halves) { return _mm_clmulepi64_si128(halves, halves, 0x01); }

// P of four cookies, each a number of 64 bits of which those above the permuted ones are not looked at.
SLUICE_COOKIE_AES __m256i PlainOfFour(const CookieReader& reader, __m256i tweaks, __m256i cookies) {
  const __m256i mask = _mm256_set1_epi64x(static_cast<long long>(reader.permuted_mask));
  const __m256i a = _mm256_add_epi64(_mm256_srli_epi64(_mm256_mul_epu32(tweaks, mask), 32), _mm256_set1_epi64x(1));
  const __m256i x = _mm256_and_si256(_mm256_xor_si256(cookies, _mm256_srli_epi64(tweaks, 32)), mask);
  const __m256i even = _mm256_unpacklo_epi64(a, x);
  const __m256i odd = _mm256_unpackhi_epi64(a, x);
  const __m128i low =
      _mm_unpacklo_epi64(ProductOfHalves(_mm256_castsi256_si128(even)), ProductOfHalves(_mm256_castsi256_si128(odd)));
  const __m128i high = _mm_unpacklo_epi64(ProductOfHalves(_mm256_extracti128_si256(even, 1)),
                                          ProductOfHalves(_mm256_extracti128_si256(odd, 1)));
  const __m256i product = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  // What lies above x^w is folded down twice: the polynomials' lower parts are so short that nothing is left above
  // then, which a test shows.
  const __m128i width = ShiftOf(reader.permuted_bits);
  const __m256i once = TimesPolynomial(reader, _mm256_srl_epi64(product, width));
  const __m256i twice = TimesPolynomial(reader, _mm256_srl_epi64(once, width));
  return _mm256_and_si256(_mm256_xor_si256(_mm256_xor_si256(product, once), twice), mask);
}

// The reader's ids in four P; all ones where the check bits are not zero, which is no id of any layout.
SLUICE_COOKIE_AES __m256i IdsOfFour(const CookieReader& reader, __m256i plain) {
  const __m256i checks = _mm256_and_si256(plain, _mm256_set1_epi64x(static_cast<long long>(reader.check_mask)));
  const __m256i genuine = _mm256_cmpeq_epi64(checks, _mm256_setzero_si256());
  const __m256i ids = _mm256_and_si256(_mm256_srl_epi64(plain, ShiftOf(reader.id_shift)),
                                       _mm256_set1_epi64x(static_cast<long long>(reader.id_mask)));
  return _mm256_or_si256(ids, _mm256_andnot_si256(genuine, _mm256_set1_epi64x(-1)));
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_COOKIE_AES_H_
