#ifndef SLUICE_DATAPLANE_LB_NAT_SESSION_H_
#define SLUICE_DATAPLANE_LB_NAT_SESSION_H_

#include <array>
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
// (destination NAT). Both sides may be of different families. Two cache lines.
struct alignas(64) NatSession {
  NatAddress client{};
  NatAddress vip_address{};
  Be16 client_port;
  Be16 vip_port;
  Be16 backend_port;
  Be16 local_port;
  // NatTable's: the next session of either chain, its number plus 1; 0 at the end.
  uint32_t next_by_client = 0;
  uint32_t next_by_backend = 0;
  VipId vip;
  BackendId backend;
  BackendGeneration generation = 0;  // of the backend
  net::Family client_family = net::Family::kIpv4;
  net::Family backend_family = net::Family::kIpv4;
  uint8_t protocol = 0;
  bool source_translated : 1 = false;  // full NAT: the local end is ours
  bool stamped : 1 = false;            // the backend's timestamps carry a cookie to the client (NatTable::stamps)
  uint8_t proxy_bytes = 0;             // of the PROXY protocol header that goes before the client's data; 0: none
  uint8_t use = 0;                     // changes whenever the number is given to another flow
  NatTracking tracking;

  NatAddress backend_address{};
  NatAddress local_address{};
  // NatTable's: the chains that the session is in, and its place among those that are not confirmed.
  uint32_t client_chain = 0;
  uint32_t backend_chain = 0;
  uint32_t unconfirmed_slot = 0;

  // The client's packets, and the backend's, as they arrive.
  NatTuple FromClient() const {
    return {.source = client,
            .destination = vip_address,
            .source_port = client_port,
            .destination_port = vip_port,
            .protocol = protocol,
            .family = client_family};
  }
  NatTuple FromBackend() const {
    return {.source = backend_address,
            .destination = local_address,
            .source_port = backend_port,
            .destination_port = local_port,
            .protocol = protocol,
            .family = backend_family};
  }
};
static_assert(sizeof(NatSession) == 128);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_NAT_SESSION_H_
