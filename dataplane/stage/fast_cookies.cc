#include "dataplane/stage/fast_cookies.h"

#include <immintrin.h>

#include <algorithm>
#include <array>

namespace sluice::stage {
namespace {

// A TCP header that is MayClaim; the echoed timestamp is the last of what is compared.
constexpr size_t kEcho = net::kAlignedEchoOffset / sizeof(uint32_t);
using Header = std::array<uint8_t, sizeof(Claims::header)>;
constexpr Header HeaderOfClaims() {
  Header header{};
  header[offsetof(net::TcpHeader, data_offset)] = net::kAtLeastEightWords;
  header[offsetof(net::TcpHeader, flags)] = net::kTcpAck;
  std::copy_n(net::kAlignedTimestampsStart.begin(), 4, &header[sizeof(net::TcpHeader)]);
  return header;
}
// Where MayClaim looks.
constexpr Header MaskOfClaims() {
  Header mask{};
  mask[offsetof(net::TcpHeader, data_offset)] = net::kAtLeastEightWords;
  mask[offsetof(net::TcpHeader, flags)] = kClaimFlags;
  std::fill_n(&mask[sizeof(net::TcpHeader)], 4, 0xff);
  return mask;
}

SLUICE_FAST_PATH inline __m256i WithEcho(const Header& header, uint32_t echo) {
  return _mm256_insert_epi32(Load32(header.data()), static_cast<int>(Be32::FromHost(echo).raw()), kEcho);
}

// Lets packets suit with cookies of the key, of VIPs with claims.reader, which is `reader`.
SLUICE_FAST_PATH void Expect(const lb::CookieReader& reader, size_t key_number, const lb::CookieKey& key,
                             Claims& claims) {
  alignas(32) static constexpr Header kHeader = HeaderOfClaims();
  alignas(32) static constexpr Header kMaskOfHeader = MaskOfClaims();
  claims.key = &key;
  claims.header = WithEcho(kHeader, reader.BitsOfKey(key_number));
  claims.mask = WithEcho(kMaskOfHeader, reader.key_mask());
}

}  // namespace

SLUICE_FAST_PATH void ExpectUsual(const fwd::ForwardingState& state, Claims& claims) {
  const lb::CookieReader& reader = state.cookie_readers.front();
  for (size_t number = 0; number < reader.key_numbers(); ++number) {
    const lb::CookieKey* const key = state.cookie_keys->keys.Find(number);
    if (key == nullptr) continue;
    claims.reader = 0;
    Expect(reader, number, *key, claims);
    return;
  }
}

SLUICE_FAST_PATH bool TurnTo(const Packet& packet, const fwd::FastPathVip& vip, Claims& claims, StageEnv& env) {
  const uint8_t* const tcp = FrameOf(packet) + packet.headers.l4_offset;
  if (!MayClaim(tcp)) return false;
  const lb::CookieReader& reader = env.state->cookie_readers[vip.cookie_reader];
  const size_t number = lb::KeyNumberOf(reader, net::Load<Be32>(tcp + net::kAlignedEchoOffset).Host());
  const lb::CookieKey* const key = env.state->cookie_keys->keys.Find(number);
  if (key == nullptr) return false;
  if (vip.cookie_reader != claims.reader) {
    if (claims.any()) ReadClaims(claims, env);
    claims.reader = vip.cookie_reader;
  }
  Expect(reader, number, *key, claims);
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
    packet.rung = fwd::Rung::kCookie;
    MarkChosen(packet, backend, backend_lines, backend_counters);
  }
  const size_t selected = static_cast<size_t>(end - claims.claims.data()) - refused;
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kCookie)].Add(selected);
  claims.selected += selected;
  claims.end = claims.claims.data();
}

}  // namespace sluice::stage
