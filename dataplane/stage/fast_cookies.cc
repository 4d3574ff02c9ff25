#include "dataplane/stage/fast_cookies.h"

#include <immintrin.h>

#include <array>

#include "dataplane/base/prefetch.h"

namespace sluice::stage {
namespace {

// What MayClaim looks at.
constexpr auto MaskOfClaims() {
  std::array<uint8_t, sizeof(Claims::mask)> mask{};
  mask[offsetof(net::TcpHeader, data_offset)] = net::kAtLeastEightWords;
  mask[offsetof(net::TcpHeader, flags)] = kClaimFlags;
  for (size_t i = 0; i < 4; ++i) mask[sizeof(net::TcpHeader) + i] = 0xff;
  return mask;
}

}  // namespace

SLUICE_FAST_PATH bool TurnTo(const Packet& packet, const fwd::FastPathVip& vip, Claims& claims, StageEnv& env) {
  const uint8_t* const tcp = FrameOf(packet) + packet.headers.l4_offset;
  if (!MayClaim(tcp)) return false;
  const lb::CookieReader& reader = env.state->cookie_readers[vip.cookie_reader];
  const uint32_t cookie = net::Load<Be32>(tcp + net::kAlignedEchoOffset).Host();
  const lb::CookieKey* const key = env.state->cookie_keys->keys.Find(lb::KeyNumberOf(reader, cookie));
  if (key == nullptr) return false;
  if (vip.cookie_reader != claims.reader) {
    if (claims.any()) ReadClaims(claims, env);
    claims.reader = vip.cookie_reader;
    alignas(32) static constexpr auto kMask = MaskOfClaims();
    const Be32 key_mask = Be32::FromHost(reader.key_mask());
    claims.mask = _mm256_insert_epi32(Load32(kMask.data()), static_cast<int>(key_mask.raw()), 7);
  }
  claims.key = key;
  claims.header = LoadStart(tcp);
  return true;
}

SLUICE_FAST_PATH void ReadClaims(Claims& claims, StageEnv& env) {
  // Read once: see CountForwarded.
  const lb::LoadedCookieReader reader(env.state->cookie_readers[claims.reader]);
  const fwd::BackendEntry* const backend_lines = env.state->backends->data();
  const fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  size_t refused = 0;
  const Claims::Claim* const end = claims.end;
  for (const Claims::Claim* claim = claims.claims.data(); claim != end; ++claim) {
    const uint64_t plain = lb::PlainOf(reader, claim->tweak);
    const BackendId backend(lb::MayName(reader, plain) ? claim->vip->slots[lb::IdIn(reader, plain)]
                                                       : BackendId().value());
    if (!backend.valid()) [[unlikely]] {
      ++refused;
      continue;
    }
    Packet& packet = *claim->packet;
    packet.backend = backend;
    packet.rung = fwd::Rung::kCookie;
    packet.past = Past::kSelection;
    // What the pass behind the selection reads and writes first.
    PrefetchLine(&backend_lines[backend.index()]);
    PrefetchLine(&backend_counters[backend.index()]);
  }
  const size_t selected = static_cast<size_t>(end - claims.claims.data()) - refused;
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kCookie)].Add(selected);
  claims.selected += selected;
  claims.end = claims.claims.data();
}

}  // namespace sluice::stage
