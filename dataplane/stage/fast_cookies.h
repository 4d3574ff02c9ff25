#ifndef SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_
#define SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_

#include <immintrin.h>

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

// Packets of a burst whose cookies are half read, of VIPs with one layout. The other half waits for the AES rounds,
// which overlap with the look-up of the packets behind.
struct Claims {
  struct Claim {
    const fwd::FastPathVip* vip;
    uint64_t tweak;  // what lb::TweakV4 or V6 gave
    Packet* packet;
  };
  Claims() = default;
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  bool any() const { return end != claims.data(); }

  // Whether the packet is MayClaim, its VIP's reader that of the others, and its cookie of `key`: nearly all are, and
  // one comparison tells.
  template <net::Family family>
  SLUICE_FAST_PATH __attribute__((always_inline)) inline bool Suits(const Packet& packet, const uint8_t* frame,
                                                                    const fwd::FastPathVip& vip) const {
    return vip.cookie_reader == reader && packet.headers.ip_length >= kIpBytes<family> + sizeof(header) &&
           _mm256_testz_si256(_mm256_xor_si256(LoadAnywhere32(frame + kL4<family>), header), mask) != 0;
  }

  std::array<Claim, kBurstSize> claims;
  Claim* end = claims.data();
  size_t selected = 0;           // by claims that were read already
  uint16_t reader = UINT16_MAX;  // FastPathVip::cookie_reader of all; there are never so many
  const lb::CookieKey* key;      // that `header` and `mask` expect; all three are set where `reader` is
  // How TCP headers look whose cookies are of `key`, as far as the timestamps that MayClaim wants, and in which bits.
  __m256i header, mask;
  static_assert(sizeof(header) == net::kAlignedEchoOffset + sizeof(Be32));
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
SLUICE_FAST_PATH __attribute__((always_inline)) inline void AddClaim(Packet& packet, const uint8_t* frame,
                                                                     const Tuple<family, net::kProtocolTcp>& tuple,
                                                                     const fwd::FastPathVip& vip, Claims& claims) {
  const lb::Aes128Key& key = claims.key->key(family);
  // Suits has loaded it, and a frame's first line most often ends within the echo.
  const __m128i echo = lb::AtLastFour(_mm256_extracti128_si256(LoadAnywhere32(frame + kL4<family>), 1));
  Claims::Claim& claim = *claims.end++;
  claim.vip = &vip;
  claim.packet = &packet;
  if constexpr (family == net::Family::kIpv4) {
    claim.tweak = lb::TweakV4(key, tuple.block, echo);
  } else {
    claim.tweak = lb::TweakV6(key, tuple.source, tuple.destination, tuple.tail, echo);
  }
}

// Selects the backends that the claims name and that keep their flows; the others are for the ladder. Leaves no claims.
void ReadClaims(Claims& claims, StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_
