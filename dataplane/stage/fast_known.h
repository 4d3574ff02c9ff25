#ifndef SLUICE_DATAPLANE_STAGE_FAST_KNOWN_H_
#define SLUICE_DATAPLANE_STAGE_FAST_KNOWN_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "dataplane/lb/nat_table.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_parse.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/fast_translate.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Sessions that are known (fast_sessions.h), by the packets of a burst.
namespace sluice::stage {

struct FoundSession {
  lb::NatSession* session;  // null: none
  uint64_t side;            // lb::IndexOf of the side that the packet comes from
};

struct KnownSessions {
  Places places = 0;  // of packets of which the session is known
  // By place.
  std::array<FoundSession, kBurstSize> found;
  std::array<uint64_t, kBurstSize> hashes;  // of the packets' tuples
};

// In which a flow of the protocol is in its middle.
constexpr lb::NatState MiddleStateOf(uint8_t protocol) {
  return protocol == net::kProtocolTcp ? lb::NatState::kEstablished : lb::NatState::kUdp;
}

inline uint8_t TcpFlagsOf(const uint8_t* l4, uint8_t protocol) {
  return protocol == net::kProtocolTcp ? l4[offsetof(net::TcpHeader, flags)] : uint8_t{0};
}

// Records of packets that come from either side, as FindKnownSessions' caller makes them.
template <net::Family family>
constexpr std::array<Packet, 2> MakeSideRecords() {
  constexpr Packet kPacket = kRecord<family, net::kProtocolTcp>;
  std::array<Packet, 2> records = {kPacket, kPacket};
  for (Packet& record : records) record.past = Past::kKnownLookup;
  Packet& answer = records[lb::IndexOf(lb::NatSide::kBackend)];
  answer.direction = Direction::kToClient;
  std::swap(answer.client_offset, answer.vip_offset);
  return records;
}
template <net::Family family>
alignas(64) inline constexpr std::array<Packet, 2> kSideRecords = MakeSideRecords<family>();

// Finds the sessions of packets of the family that were `parsed`, and fetches what the next passes read and write; of
// packets that are none of Parsed::Eights' TCP it notes there what those have. There are sessions, and VIPs.
template <net::Family family>
void FindKnownSessions(const Burst& burst, Parsed& parsed, KnownSessions& known, StageEnv& env);

// All that becomes of a burst that came by `port`, if the session of each packet is known and of the family, as is the
// case here, and nothing but translation is left to do, to leave by one port: gives that. Otherwise an invalid one, and
// the burst is to go through the passes; what was noted in sessions is what it will note once more, and its records are
// to be made again.
template <net::Family family>
Sent SendKnownBurst(rte_mbuf* const* mbufs, PortId port, const Parsed& parsed, const KnownSessions& known, Burst& burst,
                    StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_KNOWN_H_
