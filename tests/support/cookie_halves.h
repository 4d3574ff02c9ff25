#ifndef SLUICE_TESTS_SUPPORT_COOKIE_HALVES_H_
#define SLUICE_TESTS_SUPPORT_COOKIE_HALVES_H_

#include <cstdint>
#include <optional>

#include "dataplane/lb/cookie.h"
#include "dataplane/lb/cookie_aes.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/net/bytes.h"

// Cookies read in two halves as the fast path of packets does. The CPU has what that needs.
namespace sluice::test {

inline bool CpuReadsInHalves() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 &&
         __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("pclmul") != 0;
}

__attribute__((target("avx2,bmi,aes,pclmul"))) inline uint64_t ReadFirstHalf(const lb::Aes128Key& key,
                                                                             const lb::FlowTuple& tuple,
                                                                             uint32_t cookie) {
  const auto wire = static_cast<int>(Be32::FromHost(cookie).raw());
  const __m128i sum = lb::AtLastFour(_mm_set_epi32(wire, 0, 0, 0));
  const uint32_t ports = tuple.source_port.raw() | uint32_t{tuple.destination_port.raw()} << 16;
  const auto tail = static_cast<long long>(ports | uint64_t{tuple.protocol} << 32);
  if (tuple.family == net::Family::kIpv4) {
    const auto addresses = net::Load<uint32_t>(tuple.source) | uint64_t{net::Load<uint32_t>(tuple.destination)} << 32;
    return lb::TweakV4(key, _mm_set_epi64x(tail, static_cast<long long>(addresses)), sum);
  }
  return lb::TweakV6(key, lb::LoadBlock(tuple.source), lb::LoadBlock(tuple.destination), _mm_set_epi64x(0, tail), sum);
}

// The reader's id; nothing where it cannot be anybody's.
__attribute__((target("avx2,bmi,aes,pclmul"))) inline std::optional<uint32_t> ReadSecondHalf(
    const lb::CookieReader& from, uint64_t tweak) {
  const lb::LoadedCookieReader reader(from);
  const uint64_t plain = lb::PlainOf(reader, tweak);
  if (!lb::MayName(reader, plain)) return std::nullopt;
  return static_cast<uint32_t>(lb::IdIn(reader, plain));
}

__attribute__((target("avx2,bmi,aes,pclmul"))) inline std::optional<uint32_t> ReadInHalves(
    const lb::CookieReader& reader, const lb::CookieKeys& keys, const lb::FlowTuple& tuple, uint32_t cookie) {
  const lb::CookieKey* const key = keys.Find(lb::KeyNumberOf(reader, cookie));
  if (key == nullptr) return std::nullopt;
  return ReadSecondHalf(reader, ReadFirstHalf(key->key(tuple.family), tuple, cookie));
}

}  // namespace sluice::test

#endif  // SLUICE_TESTS_SUPPORT_COOKIE_HALVES_H_
