#ifndef SLUICE_DATAPLANE_LB_NAT_SESSION_H_
#define SLUICE_DATAPLANE_LB_NAT_SESSION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/lb/nat_state.h"
#include "dataplane/net/address.h"

namespace sluice::lb {

// An address as it lies in a packet; the bytes past an IPv4 address are zero.
using NatAddress = std::array<uint8_t, 16>;

inline NatAddress LoadNatAddress(net::Family family, const uint8_t* bytes) {
  NatAddress address{};
  std::memcpy(address.data(), bytes, family == net::Family::kIpv4 ? 4 : 16);
  return address;
}

// Source and destination of a packet, as it arrives at the director.
struct NatTuple {
  NatAddress source{};
  NatAddress destination{};
  Be16 source_port;
  Be16 destination_port;
  uint8_t protocol = 0;
  net::Family family = net::Family::kIpv4;
  friend bool operator==(const NatTuple&, const NatTuple&) = default;

  // For lb::FlowHashes; valid as long as this object.
  FlowTuple ToFlowTuple() const {
    return {.source = source.data(),
            .destination = destination.data(),
            .source_port = source_port,
            .destination_port = destination_port,
            .protocol = protocol,
            .family = family};
  }
};

// What is remembered of one translated flow: its tuple on either side, and what was seen of the connection. The client
// talks to the VIP, the backend to the local end: an address and port of ours (full NAT), or the client's own
// (destination NAT). Both sides may be of different families.
//
// Two cache lines, of which an established flow of IPv4 needs the first alone, whichever side its packets come from.
struct alignas(64) NatSession {
  // The ends of either side as they lie in an IPv4 packet that comes from there (TupleOf): source, destination, ports.
  // The addresses are zero where the side is of IPv6.
  uint32_t client_v4 = 0;
  uint32_t vip_v4 = 0;
  Be16 client_port;
  Be16 vip_port;
  uint32_t backend_v4 = 0;
  uint32_t local_v4 = 0;
  Be16 backend_port;
  Be16 local_port;
  std::array<uint32_t, 2> next{};  // NatTable's: by side, what follows in the chain
  VipId vip;
  BackendId backend;
  BackendGeneration generation = 0;  // of the backend
  uint8_t use = 0;                   // changes whenever the number is given to another flow
  net::Family client_family : 3 = net::Family::kIpv4;
  net::Family backend_family : 3 = net::Family::kIpv4;
  bool source_translated : 1 = false;  // full NAT: the local end is ours
  bool stamped : 1 = false;            // the backend's timestamps carry a cookie to the client (NatTable::stamps)
  NatTracking tracking;

  NatAddress client{};
  NatAddress vip_address{};
  NatAddress backend_address{};
  NatAddress local_address{};

  // The twelve bytes of a side's ends in IPv4.
  static constexpr size_t kTupleBytes = 12;
  const uint8_t* TupleOf(NatSide side) const {
    return reinterpret_cast<const uint8_t*>(&client_v4) + IndexOf(side) * kTupleBytes;
  }

  // The client's packets, and the backend's, as they arrive.
  NatTuple FromClient() const {
    return {.source = client,
            .destination = vip_address,
            .source_port = client_port,
            .destination_port = vip_port,
            .protocol = tracking.protocol,
            .family = client_family};
  }
  NatTuple FromBackend() const {
    return {.source = backend_address,
            .destination = local_address,
            .source_port = backend_port,
            .destination_port = local_port,
            .protocol = tracking.protocol,
            .family = backend_family};
  }
};
static_assert(sizeof(NatSession) == 128 && offsetof(NatSession, client) == 64);
static_assert(offsetof(NatSession, backend_v4) == NatSession::kTupleBytes && offsetof(NatSession, client_v4) == 0);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_NAT_SESSION_H_
