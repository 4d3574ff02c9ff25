#ifndef SLUICE_DATAPLANE_STAGE_FAST_TUPLE_H_
#define SLUICE_DATAPLANE_STAGE_FAST_TUPLE_H_

#include <immintrin.h>

#include "dataplane/fwd/flow_tables.h"
#include "dataplane/lb/find_known.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
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

// Of IPv4. `block`: client, VIP and ports, as they lie in the frame.
SLUICE_FAST_PATH inline lb::TupleV4 TupleOf(__m128i block, VipId vip) {
  return {.client_and_ports = _mm_shuffle_epi32(block, _MM_SHUFFLE(3, 1, 2, 0)), .vip = vip};
}

// The connection's key as it lies in the frame.
template <net::Family family>
SLUICE_FAST_PATH inline auto TupleOf(const Packet& packet, const uint8_t* frame) {
  const uint8_t* const client = frame + kSource<family>;
  if constexpr (family == net::Family::kIpv4) {
    return TupleOf(lb::LoadBlock(client), packet.vip);
  } else {
    return lb::TupleV6{.client = client, .ports = net::Load<uint32_t>(frame + kL4<family>), .vip = packet.vip};
  }
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_TUPLE_H_
