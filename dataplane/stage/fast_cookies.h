#ifndef SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_
#define SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_

#include <immintrin.h>
#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/lb/cookie.h"
#include "dataplane/lb/cookie_aes.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/lb/slot_table.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/tcp_options.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_parse.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Cookies on the fast path: those of running connections, in the place where nearly all of them are.
namespace sluice::stage {

// SYN, FIN and RST begin and end connections, and what has no ACK echoes nothing.
inline constexpr uint8_t kClaimFlags = net::kTcpSyn | net::kTcpFin | net::kTcpRst | net::kTcpAck;

// Whether a TCP packet to a VIP with cookies goes on with a connection and echoes a timestamp in the common place.
// `tcp` holds a whole header.
inline bool MayClaim(const uint8_t* tcp) {
  static_assert(offsetof(net::TcpHeader, flags) == offsetof(net::TcpHeader, data_offset) + 1);
  const auto length_and_flags = net::Load<uint16_t>(tcp + offsetof(net::TcpHeader, data_offset));
  return (length_and_flags & net::Word(net::kAtLeastEightWords, kClaimFlags)) ==
             net::Word(net::kAtLeastEightWords, net::kTcpAck) &&
         net::AreAlignedTimestamps(tcp + sizeof(net::TcpHeader));
}

// The slot that such a packet names.
inline uint8_t SlotOfClaim(const Packet& packet, const uint8_t* tcp) {
  constexpr size_t kLowByte = net::kAlignedEchoOffset + 3;
  return lb::SlotCookie(packet.flow_hash, tcp[kLowByte]);
}

// What nearly all packets with cookies have in common, so that one comparison tells.
struct UsualClaim {
  // Whether the packet is MayClaim, its VIP has this reader, and its cookie is of `key`. `tcp`: what TweakOf wants
  // then. By `ip_bytes`, the packet's, nothing is read that lies behind it.
  template <net::Family family>
  SLUICE_FAST_PATH __attribute__((always_inline)) inline bool Suits(const uint8_t* frame, uint32_t ip_bytes,
                                                                    const fwd::FastPathVip& vip, __m256i& tcp) const {
    if (vip.cookie_reader != reader || ip_bytes < kIpBytes<family> + sizeof(header)) return false;
    tcp = LoadAnywhere32(frame + kL4<family>);
    return _mm256_testz_si256(_mm256_xor_si256(tcp, header), mask) != 0;
  }
  // The cookie of a packet that suits, half read.
  template <net::Family family>
  SLUICE_FAST_PATH __attribute__((always_inline)) inline uint64_t TweakOf(const Tuple<family, net::kProtocolTcp>& tuple,
                                                                          __m256i tcp) const {
    const __m128i echo = lb::AtLastFour(_mm256_extracti128_si256(tcp, 1));
    if constexpr (family == net::Family::kIpv4) {
      return lb::TweakV4(key->key(family), tuple.block, echo);
    } else {
      return lb::TweakV6(key->key(family), tuple.source, tuple.destination, tuple.tail, echo);
    }
  }

  uint16_t reader = fwd::FastPathVip::kNoReader;  // FastPathVip::cookie_reader; where it is set, all the others are
  const lb::CookieKey* key;                       // that `header` and `mask` expect
  // How TCP headers look whose cookies are of `key`, as far as the timestamps that MayClaim wants, and in which bits.
  __m256i header, mask;
  static_assert(sizeof(header) == net::kAlignedEchoOffset + sizeof(Be32));
};

// Packets of a burst whose cookies are half read, of VIPs with one layout. The other half waits for the AES rounds,
// which overlap with the look-up of the packets behind.
struct Claims {
  explicit Claims(Burst& burst) : packets(burst.begin()) {}
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  bool any() const { return places != 0; }
  bool expects_any() const { return usual.reader != fwd::FastPathVip::kNoReader; }

  Packet* packets;  // the burst's
  Places places = 0;
  // By place: what lb::TweakV4 or V6 gave, and the VIP's slots. The record says already that the cookie names a
  // backend.
  std::array<uint64_t, kBurstSize> tweaks;
  std::array<const uint16_t*, kBurstSize> slots;
  size_t selected = 0;  // by claims that were read already
  UsualClaim usual;
};

// Lets packets suit whose VIPs have the first of the state's readers, with cookies of the first key that it knows: what
// nearly all have where there is but one, and no branch is surprised by a burst's first packet then. `claims` is new,
// and the state has readers.
void ExpectUsual(const fwd::ForwardingState& state, Claims& claims);

// Lets packets like this one suit, of a VIP with cookies; reads the claims that are there if it has another reader.
// False: it is not MayClaim, or there is no such key, which is for the ladder to refuse. Cold, or its callers would
// have nothing in registers.
__attribute__((cold)) bool TurnTo(const Packet& packet, const fwd::FastPathVip& vip, Claims& claims, StageEnv& env);

// Begins to read the cookie of a packet that suits.
template <net::Family family>
SLUICE_FAST_PATH __attribute__((always_inline)) inline void AddClaim(Packet& packet,
                                                                     const Tuple<family, net::kProtocolTcp>& tuple,
                                                                     const fwd::FastPathVip& vip, __m256i tcp,
                                                                     Claims& claims) {
  const auto place = static_cast<size_t>(&packet - claims.packets);
  claims.places |= Places{1} << place;
  claims.tweaks[place] = claims.usual.TweakOf<family>(tuple, tcp);
  claims.slots[place] = vip.slots;
  packet.rung = fwd::Rung::kCookie;
  packet.past = Past::kSelection;
}

// The first pass of packets from `first` on that are of Parsed::Eights::tcp_v4 and suit, in a loop of their own
// (fast_run.h); the claims are there then. Returns the first of another kind, of which nothing is known yet. `claims`
// expects some.
size_t AddClaimRun(rte_mbuf* const* mbufs, PortId port, size_t first, const Parsed& parsed, Burst& burst,
                   Claims& claims, const StageEnv& env);

// Selects the backends that the claims name and that keep their flows; the others are for the ladder. Leaves no claims.
void ReadClaims(Claims& claims, StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_
