#ifndef SLUICE_DATAPLANE_STAGE_FAST_TRANSLATE_H_
#define SLUICE_DATAPLANE_STAGE_FAST_TRANSLATE_H_

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/base/count_in_place.h"
#include "dataplane/base/unguessed.h"
#include "dataplane/fwd/client_routes.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/nat_session.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/wide.h"
#include "dataplane/stage/wide_sum.h"

// What is done with a packet whose session is known (fast_sessions.h). `side`: lb::IndexOf of the side that it comes
// from. There is no branch for it, as no CPU can predict it.
namespace sluice::stage {

// Whether the backend is still the one that the session was made for, and takes what comes from this side.
inline bool Takes(const fwd::BackendEntry& backend, const lb::NatSession& session, uint64_t side) {
  using State = fwd::BackendState;
  constexpr auto kBit = [](State state) { return uint64_t{1} << static_cast<int>(state); };
  // Answers of one that is down go on.
  const uint64_t takes = kBit(State::kActive) | kBit(State::kDraining) | side << static_cast<int>(State::kDown);
  return backend.generation == session.generation && (takes >> static_cast<int>(backend.state) & 1) != 0;
}

// Whether the station is known to which a packet of this side goes; a client's is, as that is noted with the hop.
inline bool KnowsStation(const fwd::BackendEntry& backend, uint64_t side) {
  return ((backend.resolved ? 1 : 0) | side) != 0;
}

// Notes a packet, whose L4 header is at `l4`, in its session. The line is written once a second and at a change.
inline void Note(lb::NatTracking& tracking, uint64_t side, uint8_t protocol, const uint8_t* l4, uint32_t now_s) {
  if (tracking.last_seen_s != now_s) [[unlikely]]
    tracking.last_seen_s = now_s;
  if (protocol != net::kProtocolTcp) return;
  const uint32_t acknowledged = net::Load<Be32>(l4 + offsetof(net::TcpHeader, acknowledgement)).Host();
  static_assert(offsetof(lb::NatTracking, backend_ack) == offsetof(lb::NatTracking, client_ack) + sizeof(uint32_t));
  uint32_t* const last = &tracking.client_ack + side;
  if (*last != acknowledged) *last = acknowledged;
}

// How a packet leaves: by its first bytes, which are an Ethernet header but for the type, and a port.
struct Egress {
  const uint8_t* ether;
  PortId port;
};
inline Egress EgressOf(const lb::NatSession& session, uint64_t side, const fwd::BackendEntry& backend,
                       const fwd::ClientRoutes& routes) {
  static_assert(offsetof(fwd::BackendEntry, ether) == 0 && offsetof(fwd::ClientHop, ether) == 0);
  const Choice choose = Choice::ByIndex(side);
  const fwd::ClientHop* const hop = routes.Named(static_cast<uint32_t>(choose(0, session.tracking.known_hop)));
  const auto* const line = choose(reinterpret_cast<const uint8_t*>(&backend), reinterpret_cast<const uint8_t*>(hop));
  const size_t port_at = choose(offsetof(fwd::BackendEntry, port), offsetof(fwd::ClientHop, port));
  return {.ether = line, .port = net::Load<PortId>(line + port_at)};
}

// Where the hop limit is in a frame.
template <net::Family family>
inline constexpr size_t kHops =
    kL3 + (family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, ttl) : offsetof(net::Ipv6Header, hop_limit));

template <net::Family family>
inline bool HasHopLeft(const uint8_t* frame) {
  return frame[kHops<family>] > 1;
}

// A side's addresses of IPv6, source and destination as in a packet that comes from there.
inline const uint8_t* AddressesV6(const lb::NatSession& session, uint64_t side) {
  static_assert(offsetof(lb::NatSession, vip_address) == offsetof(lb::NatSession, client) + 16 &&
                offsetof(lb::NatSession, backend_address) == offsetof(lb::NatSession, client) + 32 &&
                offsetof(lb::NatSession, local_address) == offsetof(lb::NatSession, client) + 48);
  return session.client.data() + side * 32;
}
// And its ports, whose place is the same in both families.
inline const uint8_t* PortsOf(const lb::NatSession& session, uint64_t side) {
  return session.TupleOf(lb::NatSide::kClient) + side * lb::NatSession::kTupleBytes +
         offsetof(lb::NatSession, client_port);
}

// Gives the frame its new addresses, and tells what that changes in checksums over them. What leaves has the other
// side's ends, the other way round: source and destination change places.
template <net::Family family>
SLUICE_FAST_PATH inline void ReplaceAddresses(uint8_t* frame, const lb::NatSession& session, uint64_t other,
                                              net::ChecksumDelta& delta) {
  uint8_t* const at = frame + kSource<family>;
  if constexpr (family == net::Family::kIpv4) {
    const auto addresses = net::Load<uint64_t>(at);
    const uint64_t new_addresses =
        std::rotl(net::Load<uint64_t>(session.TupleOf(lb::NatSide::kClient) + other * lb::NatSession::kTupleBytes), 32);
    net::Store(at, new_addresses);
    delta.Replace(addresses, new_addresses);
  } else {
    const __m256i addresses = LoadAnywhere32(at);
    const __m256i new_addresses = _mm256_permute4x64_epi64(LoadAligned32(AddressesV6(session, other)), 0b01001110);
    StoreAnywhere32(at, new_addresses);
    delta.Add(SumOf(_mm256_xor_si256(addresses, _mm256_set1_epi32(-1))) + SumOf(new_addresses));
  }
}

// Gives the frame its new ends and one hop less, of which it has one left. The ports change places as addresses do.
template <net::Family family>
SLUICE_FAST_PATH inline void TranslateKnown(uint8_t* frame, const lb::NatSession& session, uint64_t side) {
  using net::Load, net::Store;
  const uint64_t other = side ^ 1;
  const auto ports = Load<uint32_t>(frame + kL4<family>);
  const uint32_t new_ports = std::rotl(Load<uint32_t>(PortsOf(session, other)), 16);
  net::ChecksumDelta delta;
  ReplaceAddresses<family>(frame, session, other, delta);
  Store(frame + kL4<family>, new_ports);
  --frame[kHops<family>];
  if constexpr (family == net::Family::kIpv4) {
    // The first byte of a word is one less: whatever that is then, with the complement of what it was it makes this.
    constexpr uint32_t kOneHop = 0xfffe;
    uint8_t* const ip_checksum = frame + kL3 + offsetof(net::Ipv4Header, checksum);
    Store(ip_checksum, delta.Apply(Load<uint16_t>(ip_checksum), kOneHop));
  }
  delta.Replace(ports, new_ports);
  if (session.tracking.protocol == net::kProtocolTcp) [[likely]] {
    uint8_t* const checksum = frame + kL4<family> + offsetof(net::TcpHeader, checksum);
    Store(checksum, delta.Apply(Load<uint16_t>(checksum)));
  } else {
    uint8_t* const checksum = frame + kL4<family> + offsetof(net::UdpHeader, checksum);
    Store(checksum, delta.ApplyToUdp(Load<uint16_t>(checksum)));
  }
}

// What CountForwarded does; of an answer, what CountReply does (fast_nat.cc). `nobody`: counts what is no backend's, in
// a line that is at hand.
SLUICE_FAST_PATH inline void CountTranslated(uint64_t bytes, uint64_t side, fwd::VipCounters& vip,
                                             fwd::BackendCounters& backend, fwd::BackendCounters& nobody) {
  using Vip = fwd::VipCounters;
  static_assert(offsetof(Vip, requests) == 0);
  auto* const of_vip =
      reinterpret_cast<TrafficCounters*>(reinterpret_cast<uint8_t*>(&vip) + side * offsetof(Vip, replies));
  CountInPlace(*of_vip, bytes);
  CountInPlace(Choice::ByIndex(side)(&backend, &nobody)->requests, bytes);
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_TRANSLATE_H_
