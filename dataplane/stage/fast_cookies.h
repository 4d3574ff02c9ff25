#ifndef SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_
#define SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_

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

// Whether a TCP packet to a VIP with cookies goes on with a connection and echoes a timestamp in the common place.
// `tcp` holds a whole header. SYN, FIN and RST begin and end connections, and what has no ACK echoes nothing.
inline bool MayClaim(const uint8_t* tcp) {
  static_assert(offsetof(net::TcpHeader, flags) == offsetof(net::TcpHeader, data_offset) + 1);
  constexpr uint8_t kFlags = net::kTcpSyn | net::kTcpFin | net::kTcpRst | net::kTcpAck;
  const auto length_and_flags = net::Load<uint16_t>(tcp + offsetof(net::TcpHeader, data_offset));
  return (length_and_flags & net::Word(net::kAtLeastEightWords, kFlags)) ==
             net::Word(net::kAtLeastEightWords, net::kTcpAck) &&
         net::AreAlignedTimestamps(tcp + sizeof(net::TcpHeader));
}

// The slot that such a packet names.
inline uint8_t SlotOfClaim(const Packet& packet, const uint8_t* tcp) {
  constexpr size_t kLowByte = net::kAlignedEchoOffset + 3;
  return lb::SlotCookie(packet.flow_hash, tcp[kLowByte]);
}

// Packets of a burst whose cookies are half read. The other half waits for the AES rounds, which overlap with the
// look-up of the packets behind.
struct Claims {
  struct Claim {
    const fwd::FastPathVip* vip;
    uint64_t tweak;  // what lb::TweakV4 or V6 gave
    Packet* packet;
  };
  Claims() = default;
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  std::array<Claim, kBurstSize> claims;
  Claim* end = claims.data();
};

// Begins to read the cookie of such a packet; one of a key that is not there is for the ladder to refuse.
template <net::Family family>
SLUICE_FAST_PATH __attribute__((always_inline)) inline void AddClaim(Packet& packet, const uint8_t* frame,
                                                                     const Tuple<family, net::kProtocolTcp>& tuple,
                                                                     const fwd::FastPathVip& vip,
                                                                     const lb::CookieReader& reader,
                                                                     const lb::CookieKeys& keys, Claims& claims) {
  const uint32_t cookie = net::Load<Be32>(frame + kL4<family> + net::kAlignedEchoOffset).Host();
  const lb::CookieKey* const key = keys.Find(lb::KeyNumberOf(reader, cookie));
  if (key == nullptr) [[unlikely]]
    return;
  Claims::Claim& claim = *claims.end++;
  claim.vip = &vip;
  claim.packet = &packet;
  if constexpr (family == net::Family::kIpv4) {
    claim.tweak = lb::TweakV4(key->key(family), tuple.block, cookie);
  } else {
    claim.tweak = lb::TweakV6(key->key(family), tuple.source, tuple.destination, tuple.tail, cookie);
  }
}

// Selects the backends that the claims name and that keep their flows. Returns how many; the others are for the ladder.
size_t ReadClaims(const Claims& claims, StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_
