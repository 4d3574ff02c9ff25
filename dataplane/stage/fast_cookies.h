#ifndef SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_
#define SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/lb/cookie.h"
#include "dataplane/lb/slot_table.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/tcp_options.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Cookies on the fast path: those of running connections, in the place where nearly all of them are.
namespace sluice::stage {

// Whether a TCP packet to a VIP with cookies goes on with a connection and echoes a timestamp in the common place.
// `tcp` holds a whole header. SYN, FIN and RST begin and end connections, and what has no ACK echoes nothing.
inline bool MayClaim(const uint8_t* tcp) {
  constexpr uint8_t kFlags = net::kTcpSyn | net::kTcpFin | net::kTcpRst | net::kTcpAck;
  return (tcp[offsetof(net::TcpHeader, flags)] & kFlags) == net::kTcpAck && net::HasAlignedTimestamps(tcp);
}

// The slot that such a packet names.
inline uint8_t SlotOfClaim(const Packet& packet, const uint8_t* tcp) {
  constexpr size_t kLowByte = net::kAlignedEchoOffset + 3;
  return lb::SlotCookie(packet.flow_hash, tcp[kLowByte]);
}

// Packets of a burst whose cookies are to be read: four at a time, which is why they are gathered.
struct Claims {
  size_t count = 0;
  std::array<Packet*, kBurstSize> packet;
  std::array<const uint8_t*, kBurstSize> client;  // its address in the frame: the VIP's and the ports follow
  std::array<const fwd::FastPathVip*, kBurstSize> vip;
  std::array<const lb::Aes128Key*, kBurstSize> key;
  std::array<uint64_t, kBurstSize> cookie;
  std::array<uint16_t, kBurstSize> kind;  // the cookie's reader and the family
};
static_assert(kBurstSize % 4 == 0);

// Notes the claim of a packet; one of a key that is not there is for the ladder to refuse.
template <net::Family family>
inline void AddClaim(Packet& packet, const uint8_t* frame, const fwd::FastPathVip& vip, const lb::CookieReader& reader,
                     const lb::CookieKeys& keys, Claims& claims) {
  const uint32_t cookie = net::Load<Be32>(frame + kL4<family> + net::kAlignedEchoOffset).Host();
  const lb::CookieKey* const key = keys.Find(cookie >> reader.permuted_bits & reader.key_mask);
  if (key == nullptr) [[unlikely]]
    return;
  const size_t i = claims.count++;
  claims.packet[i] = &packet;
  claims.client[i] = frame + kSource<family>;
  claims.vip[i] = &vip;
  claims.key[i] = &key->key(family);
  claims.cookie[i] = cookie;
  claims.kind[i] = static_cast<uint16_t>(vip.cookie_reader << 1 | (family == net::Family::kIpv6 ? 1 : 0));
}

// Gives each packet with a claim the backend that its cookie names; none where it names nobody of the VIP's pool.
void ReadClaims(Claims& claims, const StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_COOKIES_H_
