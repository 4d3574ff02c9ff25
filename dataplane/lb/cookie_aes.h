#ifndef SLUICE_DATAPLANE_LB_COOKIE_AES_H_
#define SLUICE_DATAPLANE_LB_COOKIE_AES_H_

#include <immintrin.h>

#include <cstdint>

#include "dataplane/lb/aes128.h"
#include "dataplane/lb/cookie_reader.h"

// Cookies read in two halves, so that whoever has many begins all of them before the first one's AES rounds are done;
// cookie.h says what is computed. For functions that are compiled for CPUs with AES-NI, PCLMULQDQ and, where a reader's
// bits are taken out, BMI.
namespace sluice::lb {

#define SLUICE_COOKIE_AES __attribute__((target("aes,pclmul,sse4.1"), always_inline)) inline
#define SLUICE_COOKIE_BITS __attribute__((target("bmi"), always_inline)) inline

SLUICE_COOKIE_AES __m128i RoundKeyOf(const Aes128Key& key, int round) {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(key.round_key(round).data()));
}

// Encrypts the block, and adds `sum` (exclusive or) to the result. Written out, because compilers do not unroll such
// loops.
SLUICE_COOKIE_AES __m128i EncryptAndAdd(const Aes128Key& key, __m128i block, __m128i sum) {
  static_assert(Aes128Key::kRounds == 10);
  __m128i s = _mm_xor_si128(block, RoundKeyOf(key, 0));
  s = _mm_aesenc_si128(s, RoundKeyOf(key, 1));
  s = _mm_aesenc_si128(s, RoundKeyOf(key, 2));
  s = _mm_aesenc_si128(s, RoundKeyOf(key, 3));
  s = _mm_aesenc_si128(s, RoundKeyOf(key, 4));
  s = _mm_aesenc_si128(s, RoundKeyOf(key, 5));
  s = _mm_aesenc_si128(s, RoundKeyOf(key, 6));
  s = _mm_aesenc_si128(s, RoundKeyOf(key, 7));
  s = _mm_aesenc_si128(s, RoundKeyOf(key, 8));
  s = _mm_aesenc_si128(s, RoundKeyOf(key, 9));
  return _mm_aesenclast_si128(s, _mm_xor_si128(sum, RoundKeyOf(key, 10)));
}

// The first half: T's first eight bytes, the cookie added to the last four of them. This puts it there; `bytes`: the
// last four are the cookie as it lies in a packet.
SLUICE_COOKIE_AES __m128i AtLastFour(__m128i bytes) {
  return _mm_shuffle_epi8(bytes, _mm_setr_epi8(-1, -1, -1, -1, 15, 14, 13, 12, -1, -1, -1, -1, -1, -1, -1, -1));
}

SLUICE_COOKIE_AES uint64_t FirstEight(__m128i block) { return static_cast<uint64_t>(_mm_cvtsi128_si64(block)); }

// Over IPv4. `block`: addresses, ports, protocol, zeros.
SLUICE_COOKIE_AES uint64_t TweakV4(const Aes128Key& key, __m128i block, __m128i cookie) {
  return FirstEight(EncryptAndAdd(key, block, cookie));
}

// Over IPv6. `tail`: ports, protocol, zeros.
SLUICE_COOKIE_AES uint64_t TweakV6(const Aes128Key& key, __m128i source, __m128i destination, __m128i tail,
                                   __m128i cookie) {
  const __m128i two_blocks = EncryptAndAdd(key, EncryptAndAdd(key, source, destination), tail);
  return FirstEight(EncryptAndAdd(key, two_blocks, cookie));
}

// A reader in registers, for whoever has many cookies.
struct LoadedCookieReader {
  SLUICE_COOKIE_AES explicit LoadedCookieReader(const CookieReader& reader)
      : factors(_mm_load_si128(reinterpret_cast<const __m128i*>(reader.factors.data()))),
        polynomial(_mm_load_si128(reinterpret_cast<const __m128i*>(reader.polynomial.data()))),
        zeros(reader.zeros),
        id_bits(reader.id_bits) {}
  __m128i factors, polynomial;
  uint64_t zeros;
  uint32_t id_bits;
};

// The second half: P, left-aligned, of what the first one gave.
SLUICE_COOKIE_AES uint64_t PlainOf(const LoadedCookieReader& reader, const uint64_t& tweak) {
  const __m128i scaled = _mm_mul_epu32(_mm_cvtepu32_epi64(_mm_loadu_si64(&tweak)), reader.factors);
  // Of the first product the upper half is a - 1; of the second the lower one is what is permuted, left-aligned.
  const __m128i halves =
      _mm_shuffle_epi8(scaled, _mm_setr_epi8(4, 5, 6, 7, -1, -1, -1, -1, -1, -1, -1, -1, 8, 9, 10, 11));
  const __m128i operands = _mm_add_epi64(halves, _mm_set_epi64x(0, 1));
  const __m128i product = _mm_clmulepi64_si128(operands, operands, 0x01);
  // What lies above x^w is folded down twice: the polynomials' lower parts are so short that nothing is left above
  // then, which a test shows.
  const __m128i once = _mm_clmulepi64_si128(product, reader.polynomial, 0x01);
  const __m128i twice = _mm_clmulepi64_si128(once, reader.polynomial, 0x01);
  return FirstEight(_mm_xor_si128(_mm_xor_si128(product, once), twice));
}

// Whether check bits and id allow that P names somebody.
inline bool MayName(const LoadedCookieReader& reader, uint64_t plain) { return (plain & reader.zeros) == 0; }

// The reader's id in P.
SLUICE_COOKIE_BITS uint64_t IdIn(const LoadedCookieReader& reader, uint64_t plain) {
  return __bextr_u64(plain, reader.id_bits);
}

SLUICE_COOKIE_BITS size_t KeyNumberOf(const CookieReader& reader, uint32_t cookie) {
  const size_t number = __bextr_u64(cookie, reader.key_bits);
  if (number >> kMaxKeyBits != 0) __builtin_unreachable();  // the reader was made so
  return number;
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_COOKIE_AES_H_
