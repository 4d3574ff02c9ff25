#include "dataplane/stage/fast_cookies.h"

#include <immintrin.h>

#include "dataplane/lb/cookie_aes.h"
#include "dataplane/lb/flow_hash_aes.h"

namespace sluice::stage {
namespace {

// Addresses, ports, and the protocol in the place of what follows them.
SLUICE_FAST_PATH inline __m128i CookieBlockV4(const uint8_t* client) {
  return _mm_blend_epi32(lb::LoadBlock(client), _mm_set_epi32(net::kProtocolTcp, 0, 0, 0), 0b1000);
}

SLUICE_FAST_PATH inline __m128i CookieTailV6(const uint8_t* client) {
  const auto ports = static_cast<int>(net::Load<uint32_t>(client + 32));
  return _mm_set_epi32(0, 0, net::kProtocolTcp, ports);
}

// Number of the reader, or'ed with one bit for the family: of four claims, whether they are all the same.
inline bool AreAlike(const uint16_t* kinds) {
  return net::Load<uint64_t>(reinterpret_cast<const uint8_t*>(kinds)) == kinds[0] * 0x0001'0001'0001'0001;
}

// Of four claims that are alike (stride 1), or of one by itself (0).
template <int stride>
SLUICE_FAST_PATH inline void ReadFour(const Claims& claims, size_t first, const lb::CookieReader* readers) {
  constexpr size_t k1 = stride, k2 = 2 * stride, k3 = 3 * stride;
  const uint8_t* const* const client = &claims.client[first];
  const lb::Aes128Key* const* const key = &claims.key[first];
  const lb::FourKeys keys = {key[0], key[k1], key[k2], key[k3]};
  __m256i tweaks;
  if ((claims.kind[first] & 1) == 0) {
    tweaks = lb::TweaksV4(keys, {{CookieBlockV4(client[0]), CookieBlockV4(client[k1]), CookieBlockV4(client[k2]),
                                  CookieBlockV4(client[k3])}});
  } else {
    tweaks = lb::TweaksV6(
        keys,
        {{lb::LoadBlock(client[0]), lb::LoadBlock(client[k1]), lb::LoadBlock(client[k2]), lb::LoadBlock(client[k3])}},
        {{lb::LoadBlock(client[0] + 16), lb::LoadBlock(client[k1] + 16), lb::LoadBlock(client[k2] + 16),
          lb::LoadBlock(client[k3] + 16)}},
        {{CookieTailV6(client[0]), CookieTailV6(client[k1]), CookieTailV6(client[k2]), CookieTailV6(client[k3])}});
  }
  const uint64_t* const cookie = &claims.cookie[first];
  const __m256i cookies = stride == 1 ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(cookie))
                                      : _mm256_set1_epi64x(static_cast<long long>(cookie[0]));
  const lb::CookieReader& reader = readers[claims.kind[first] >> 1];
  alignas(32) uint64_t ids[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(ids), lb::IdsOfFour(reader, lb::PlainOfFour(reader, tweaks, cookies)));
  for (size_t i = 0; i < (stride == 1 ? 4 : 1); ++i) {
    const fwd::FastPathVip& vip = *claims.vip[first + i];
    if (ids[i] >= vip.slot_count) [[unlikely]]
      continue;
    claims.packet[first + i]->backend = BackendId(vip.slots[ids[i]]);
  }
}

}  // namespace

SLUICE_FAST_PATH void ReadClaims(Claims& claims, const StageEnv& env) {
  // The last four are filled up with the last one, which is read again then.
  const size_t last = claims.count - 1;
  for (size_t i = claims.count; i % 4 != 0; ++i) {
    claims.packet[i] = claims.packet[last];
    claims.client[i] = claims.client[last];
    claims.vip[i] = claims.vip[last];
    claims.key[i] = claims.key[last];
    claims.cookie[i] = claims.cookie[last];
    claims.kind[i] = claims.kind[last];
  }
  const lb::CookieReader* const readers = env.state->cookie_readers.data();
  for (size_t i = 0; i < claims.count; i += 4) {
    if (AreAlike(&claims.kind[i])) [[likely]] {
      ReadFour<1>(claims, i, readers);
      continue;
    }
    // VIPs with several layouts take turns.
    for (size_t k = i; k < i + 4; ++k) ReadFour<0>(claims, k, readers);
  }
}

}  // namespace sluice::stage
