#include "dataplane/lb/cookie.h"

#include <immintrin.h>

#include <cstring>

#include "dataplane/base/check.h"
#include "dataplane/lb/binary_field.h"
#include "dataplane/lb/cookie_aes.h"
#include "dataplane/lb/flow_hash_aes.h"

namespace sluice::lb {
namespace {

constexpr AesBlock kLabelV4 = {'s', 'l', 'u', 'i', 'c', 'e', ' ', 'c', 'o', 'o', 'k', 'i', 'e', ' ', 'v', '4'};
constexpr AesBlock kLabelV6 = {'s', 'l', 'u', 'i', 'c', 'e', ' ', 'c', 'o', 'o', 'k', 'i', 'e', ' ', 'v', '6'};

// The permutation of one tuple.
struct Affine {
  uint32_t a;
  uint32_t b;
};

// From the first eight bytes of T.
inline Affine AffineOf(uint64_t t, int bits) {
  const uint32_t mask = (uint32_t{1} << bits) - 1;
  return {.a = static_cast<uint32_t>((t & 0xffff'ffff) * mask >> 32) + 1, .b = static_cast<uint32_t>(t >> 32) & mask};
}

inline uint64_t PortsAndProtocol(const FlowTuple& t) {
  return uint64_t{t.source_port.raw()} | uint64_t{t.destination_port.raw()} << 16 | uint64_t{t.protocol} << 32;
}

AesBlock AbsorbedPortable(const Aes128Key& key, AesBlock state, const uint8_t* block, size_t size) {
  for (size_t i = 0; i < size; ++i) state[i] = state[i] ^ block[i];
  return Aes128EncryptPortable(key, state);
}

uint64_t TweakPortable(const Aes128Key& key, const FlowTuple& tuple) {
  const uint64_t tail = PortsAndProtocol(tuple);
  std::array<uint8_t, 16> last{};
  AesBlock state{};
  if (tuple.family == net::Family::kIpv4) {
    std::memcpy(last.data(), tuple.source, 4);
    std::memcpy(last.data() + 4, tuple.destination, 4);
    std::memcpy(last.data() + 8, &tail, sizeof(tail));
  } else {
    state = AbsorbedPortable(key, state, tuple.source, 16);
    state = AbsorbedPortable(key, state, tuple.destination, 16);
    std::memcpy(last.data(), &tail, sizeof(tail));
  }
  state = AbsorbedPortable(key, state, last.data(), last.size());
  uint64_t tweak = 0;
  std::memcpy(&tweak, state.data(), sizeof(tweak));
  return tweak;
}

std::optional<CookieFields> FieldsOf(const CookieLayout& layout, uint32_t plain) {
  if ((plain & ((uint32_t{1} << layout.check_bits) - 1)) != 0) return std::nullopt;
  const uint32_t ids = plain >> layout.check_bits;
  return CookieFields{.tier = ids >> layout.backend_bits, .backend = ids & ((uint32_t{1} << layout.backend_bits) - 1)};
}

// Blocks are put together in registers, as for the flow hash.
__attribute__((target("aes,sse4.1"))) inline __m128i BlockV4(const FlowTuple& tuple) {
  uint32_t source = 0;
  uint32_t destination = 0;
  std::memcpy(&source, tuple.source, sizeof(source));
  std::memcpy(&destination, tuple.destination, sizeof(destination));
  const auto addresses = static_cast<long long>(uint64_t{source} | uint64_t{destination} << 32);
  return _mm_set_epi64x(static_cast<long long>(PortsAndProtocol(tuple)), addresses);
}

__attribute__((target("aes,sse4.1"))) inline __m128i LastBlockV6(const FlowTuple& tuple) {
  return _mm_set_epi64x(0, static_cast<long long>(PortsAndProtocol(tuple)));
}

__attribute__((target("aes,pclmul,sse4.1"))) inline uint64_t TweakAesNi(const Aes128Key& key, const FlowTuple& tuple) {
  const __m128i no_cookie = _mm_setzero_si128();
  if (tuple.family == net::Family::kIpv4) return TweakV4(key, BlockV4(tuple), no_cookie);
  return TweakV6(key, LoadBlock(tuple.source), LoadBlock(tuple.destination), LastBlockV6(tuple), no_cookie);
}

__attribute__((target("pclmul,sse4.1"))) inline uint64_t CarrylessProduct(uint64_t a, uint64_t b) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(a)),
                                               _mm_cvtsi64_si128(static_cast<long long>(b)), 0);
  return static_cast<uint64_t>(_mm_cvtsi128_si64(product));
}

// FieldMultiply. What lies above x^w is folded down twice: each polynomial's lower part is so short that nothing is
// left above then, which a test shows.
__attribute__((target("pclmul,sse4.1"))) inline uint32_t FieldMultiplyPclmul(int bits, uint32_t a, uint32_t b) {
  const uint64_t mask = (uint64_t{1} << bits) - 1;
  const uint64_t polynomial = kFieldPolynomial[static_cast<size_t>(bits)];
  const uint64_t product = CarrylessProduct(a, b);
  const uint64_t once = CarrylessProduct(product >> bits, polynomial);
  const uint64_t twice = CarrylessProduct(once >> bits, polynomial);
  return static_cast<uint32_t>((product ^ once ^ twice) & mask);
}

__attribute__((target("aes,pclmul,sse4.1"))) std::optional<CookieFields> DecodeAesNi(const CookieLayout& layout,
                                                                                     const Aes128Key& key,
                                                                                     const FlowTuple& tuple,
                                                                                     uint32_t permuted) {
  const int bits = layout.permuted_bits();
  const Affine affine = AffineOf(TweakAesNi(key, tuple), bits);
  return FieldsOf(layout, FieldMultiplyPclmul(bits, affine.a, permuted ^ affine.b));
}

bool CpuHasAesAndPclmul() {
  static const bool has = CpuHasAes() && __builtin_cpu_supports("pclmul") != 0;
  return has;
}

// The cookie's key, or null; *permuted is the rest.
const CookieKey* SplitCookie(const CookieLayout& layout, const CookieKeys& keys, uint32_t cookie, uint32_t* permuted) {
  const int bits = layout.permuted_bits();
  *permuted = cookie & ((uint32_t{1} << bits) - 1);
  return keys.Find(cookie >> bits & ((uint32_t{1} << layout.key_bits) - 1));
}

}  // namespace

CookieKey::CookieKey(const AesBlock& secret)
    : v4_(Aes128EncryptPortable(Aes128Key(secret), kLabelV4)),
      v6_(Aes128EncryptPortable(Aes128Key(secret), kLabelV6)) {}

uint32_t EncodeCookie(const CookieLayout& layout, const CookieKeys& keys, uint32_t key_number, const FlowTuple& tuple,
                      const CookieFields& fields) {
  const CookieKey* key = keys.Find(key_number);
  SLUICE_CHECK(key != nullptr && key_number >> layout.key_bits == 0);
  SLUICE_CHECK(fields.tier >> layout.tier_bits == 0 && fields.backend >> layout.backend_bits == 0);
  const int bits = layout.permuted_bits();
  const Aes128Key& aes = key->key(tuple.family);
  const Affine affine = AffineOf(CpuHasAesAndPclmul() ? TweakAesNi(aes, tuple) : TweakPortable(aes, tuple), bits);
  const uint32_t plain = (fields.tier << layout.backend_bits | fields.backend) << layout.check_bits;
  const uint32_t permuted = FieldMultiply(bits, FieldInverse(bits, affine.a), plain) ^ affine.b;
  return key_number << bits | permuted;
}

std::optional<CookieFields> DecodeCookiePortable(const CookieLayout& layout, const CookieKeys& keys,
                                                 const FlowTuple& tuple, uint32_t cookie) {
  uint32_t permuted = 0;
  const CookieKey* key = SplitCookie(layout, keys, cookie, &permuted);
  if (key == nullptr) return std::nullopt;
  const int bits = layout.permuted_bits();
  const Affine affine = AffineOf(TweakPortable(key->key(tuple.family), tuple), bits);
  return FieldsOf(layout, FieldMultiply(bits, affine.a, permuted ^ affine.b));
}

std::optional<CookieFields> DecodeCookie(const CookieLayout& layout, const CookieKeys& keys, const FlowTuple& tuple,
                                         uint32_t cookie) {
  if (!CpuHasAesAndPclmul()) return DecodeCookiePortable(layout, keys, tuple, cookie);
  uint32_t permuted = 0;
  const CookieKey* key = SplitCookie(layout, keys, cookie, &permuted);
  if (key == nullptr) return std::nullopt;
  return DecodeAesNi(layout, key->key(tuple.family), tuple, permuted);
}

}  // namespace sluice::lb
