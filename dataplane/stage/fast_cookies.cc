#include "dataplane/stage/fast_cookies.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>

#include "dataplane/base/prefetch.h"
#include "dataplane/stage/fast_run.h"

namespace sluice::stage {
namespace {

// A TCP header that is MayClaim; the echoed timestamp is the last of what is compared.
constexpr size_t kEcho = net::kAlignedEchoOffset / sizeof(uint32_t);
using Header = std::array<uint8_t, sizeof(UsualClaim::header)>;
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

// Lets packets suit with cookies of the key, of VIPs with usual.reader, which is `reader`.
SLUICE_FAST_PATH void Expect(const lb::CookieReader& reader, size_t key_number, const lb::CookieKey& key,
                             UsualClaim& usual) {
  alignas(32) static constexpr Header kHeader = HeaderOfClaims();
  alignas(32) static constexpr Header kMaskOfHeader = MaskOfClaims();
  usual.key = &key;
  usual.header = WithEcho(kHeader, reader.BitsOfKey(key_number));
  usual.mask = WithEcho(kMaskOfHeader, reader.key_mask());
}

// What the record has, as InPort, of a packet whose cookie names its backend.
SLUICE_FAST_PATH inline __m256i NamedByCookie() {
  static_assert(static_cast<int>(fwd::Rung::kNone) == 0 && static_cast<int>(Past::kNothing) == 0);
  alignas(32) static constexpr std::array<uint8_t, 32> kChosen = [] {
    std::array<uint8_t, 32> half{};
    half[offsetof(Packet, rung) - half.size()] = static_cast<uint8_t>(fwd::Rung::kCookie);
    half[offsetof(Packet, past) - half.size()] = static_cast<uint8_t>(Past::kSelection);
    return half;
  }();
  return Load32(kChosen.data());
}

}  // namespace

SLUICE_FAST_PATH void ExpectUsual(const fwd::ForwardingState& state, Claims& claims) {
  const lb::CookieReader& reader = state.cookie_readers.front();
  for (size_t number = 0; number < reader.key_numbers(); ++number) {
    const lb::CookieKey* const key = state.cookie_keys->keys.Find(number);
    if (key == nullptr) continue;
    claims.usual.reader = 0;
    Expect(reader, number, *key, claims.usual);
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
  if (vip.cookie_reader != claims.usual.reader) {
    if (claims.any()) ReadClaims(claims, env);
    claims.usual.reader = vip.cookie_reader;
  }
  Expect(reader, number, *key, claims.usual);
  return true;
}

SLUICE_FAST_PATH size_t AddClaimRun(rte_mbuf* const* mbufs, PortId port, size_t first, const Parsed& parsed,
                                    Burst& burst, Claims& claims, const StageEnv& env) {
  constexpr auto kFamily = net::Family::kIpv4;
  const UsualClaim usual = claims.usual;  // in registers
  __m256i tcp;                            // of the packet at hand
  const size_t end = LookUpRun<kFamily, net::kProtocolTcp>(
      mbufs, first, parsed, burst, env, _mm256_or_si256(InPort(port), NamedByCookie()),
      [&](size_t place, const fwd::FastPathVip& vip, const uint8_t* frame) SLUICE_FAST_PATH
      __attribute__((always_inline)) { return usual.Suits<kFamily>(frame, parsed.ip_bytes[place], vip, tcp); },
      [&](size_t place, Packet&, const fwd::FastPathVip& vip, const Tuple<kFamily, net::kProtocolTcp>& tuple, uint64_t)
          SLUICE_FAST_PATH __attribute__((always_inline)) {
            claims.tweaks[place] = usual.TweakOf<kFamily>(tuple, tcp);
            claims.slots[place] = vip.slots;
            PrefetchHeadroom(parsed.frame[place], vip);
          });
  claims.places |= AllPlaces(end) & ~AllPlaces(first);
  return end;
}

SLUICE_FAST_PATH void ReadClaims(Claims& claims, StageEnv& env) {
  // Read once: see CountForwarded.
  const lb::LoadedCookieReader reader(env.state->cookie_readers[claims.usual.reader]);
  const fwd::BackendEntry* const backend_lines = env.state->backends->data();
  const fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  size_t selected = 0;
  // From one gap to the next.
  for (Places left = claims.places; left != 0;) {
    const auto begin = static_cast<size_t>(std::countr_zero(left));
    const size_t end = begin + static_cast<size_t>(std::countr_one(left >> begin));
    left &= ~AllPlaces(end);
    selected += end - begin;
    for (size_t i = begin; i < end; ++i) {
      Packet& packet = claims.packets[i];
      const uint64_t plain = lb::PlainOf(reader, claims.tweaks[i]);
      const BackendId backend(lb::MayName(reader, plain) ? claims.slots[i][lb::IdIn(reader, plain)]
                                                         : BackendId().value());
      if (!backend.valid()) [[unlikely]] {
        packet.rung = fwd::Rung::kNone;
        packet.past = Past::kLookup;
        --selected;
        continue;
      }
      packet.backend = backend;
      PrefetchLine(&backend_lines[backend.index()]);
      PrefetchLine(&backend_counters[backend.index()]);
    }
  }
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kCookie)].Add(selected);
  claims.selected += selected;
  claims.places = 0;
}

}  // namespace sluice::stage
