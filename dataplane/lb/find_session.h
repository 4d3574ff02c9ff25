#ifndef SLUICE_DATAPLANE_LB_FIND_SESSION_H_
#define SLUICE_DATAPLANE_LB_FIND_SESSION_H_

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "dataplane/lb/nat_table.h"

// NatTable's look-ups for packets in great numbers: a packet's tuple stays in registers. Put together in memory it
// would be stored in parts and loaded whole, which stalls longer than the comparison takes.
namespace sluice::lb {

struct PackedTuple {
  __m128i source;  // IPv4 addresses in the first four bytes, zeros behind
  __m128i destination;
  uint32_t ports;  // as they lie in a packet
  uint8_t protocol;
  net::Family family;
};

// `source` is followed by the destination, as in either IP header.
inline PackedTuple PackTuple(net::Family family, uint8_t protocol, const uint8_t* source, const uint8_t* ports) {
  PackedTuple tuple{.source = {}, .destination = {}, .ports = 0, .protocol = protocol, .family = family};
  std::memcpy(&tuple.ports, ports, sizeof(tuple.ports));
  if (family == net::Family::kIpv4) {
    tuple.source = _mm_loadu_si32(source);
    tuple.destination = _mm_loadu_si32(source + 4);
  } else {
    tuple.source = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source));
    tuple.destination = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + 16));
  }
  return tuple;
}

// Whether two ends, whose ports lie one behind the other in a session, are those of the tuple.
inline bool HasEnds(const NatAddress& source, const NatAddress& destination, const Be16& first_port,
                    const PackedTuple& tuple) {
  uint32_t ports = 0;
  std::memcpy(&ports, &first_port, sizeof(ports));
  const auto load = [](const NatAddress& address) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(address.data()));
  };
  const __m128i differs =
      _mm_or_si128(_mm_xor_si128(load(source), tuple.source), _mm_xor_si128(load(destination), tuple.destination));
  return ports == tuple.ports && _mm_testz_si128(differs, differs) != 0;
}

inline NatSession* FindByClient(NatTable& table, const PackedTuple& tuple, VipId vip, uint64_t hash) {
  static_assert(offsetof(NatSession, vip_port) == offsetof(NatSession, client_port) + sizeof(Be16));
  return table.Find(NatSide::kClient, hash, [&](const NatSession& session) {
    return HasEnds(session.client, session.vip_address, session.client_port, tuple) && session.vip == vip &&
           session.tracking.protocol == tuple.protocol && session.client_family == tuple.family;
  });
}

inline NatSession* FindByBackend(NatTable& table, const PackedTuple& tuple, uint64_t hash) {
  static_assert(offsetof(NatSession, local_port) == offsetof(NatSession, backend_port) + sizeof(Be16));
  return table.Find(NatSide::kBackend, hash, [&](const NatSession& session) {
    return HasEnds(session.backend_address, session.local_address, session.backend_port, tuple) &&
           session.tracking.protocol == tuple.protocol && session.backend_family == tuple.family;
  });
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_FIND_SESSION_H_
