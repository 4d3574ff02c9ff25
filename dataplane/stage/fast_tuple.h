#ifndef SLUICE_DATAPLANE_STAGE_FAST_TUPLE_H_
#define SLUICE_DATAPLANE_STAGE_FAST_TUPLE_H_

#include <immintrin.h>

#include "dataplane/fwd/flow_tables.h"
#include "dataplane/lb/find_known.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"

// By what the fast path's second pass knows a packet's connection, and where.
namespace sluice::stage {

template <net::Family family>
auto& TableOf(fwd::FlowTables& tables) {
  if constexpr (family == net::Family::kIpv4) {
    return tables.v4();
  } else {
    return tables.v6();
  }
}

// The TCP flags that begin and end connections.
inline constexpr unsigned kChangeFlags = net::kTcpSyn | net::kTcpFin | net::kTcpRst;
inline unsigned ChangeBy(const Packet& packet) { return packet.headers.tcp_flags & kChangeFlags; }

// The connection's key. Of IPv4, client, VIP and ports are one block, as they lie in the frame.
template <uint8_t protocol>
SLUICE_FAST_PATH inline lb::TupleV4 TupleOf(const Tuple<net::Family::kIpv4, protocol>& tuple) {
  return {.client_and_ports = _mm_shuffle_epi32(tuple.block, _MM_SHUFFLE(3, 1, 2, 0))};
}
template <uint8_t protocol>
SLUICE_FAST_PATH inline lb::TupleV6 TupleOf(const Tuple<net::Family::kIpv6, protocol>& tuple) {
  return {.client = tuple.source, .ports = static_cast<uint32_t>(_mm_cvtsi128_si32(tuple.tail))};
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_TUPLE_H_
