#ifndef SLUICE_DATAPLANE_LB_OWNER_H_
#define SLUICE_DATAPLANE_LB_OWNER_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/net/address.h"

// Which worker owns a flow or a fragmented packet: computed from the packet alone, so that every worker comes to the
// same answer without asking another. Full NAT's replies are owned by their local port: see WorkerOfLocalPort in
// lb/nat_ports.h. `key`: HashKeys::owner; without it nobody can aim many flows at one worker. Pure, any thread.
namespace sluice::lb {

// Destination NAT: by the client's end of the flow, which is the source of the client's packets and the destination of
// the backend's. `client`: 4 or 16 bytes as in the packet. `worker_count` is at least 1.
WorkerId OwnerOfClient(uint64_t key, net::Family family, const uint8_t* client, Be16 client_port, size_t worker_count);

// What all fragments of one packet have in common. Addresses of 4 or 16 bytes as in the packet, `id` in host order;
// `protocol` is 0 for IPv6, whose fragments may differ in it.
struct FragmentId {
  net::Family family = net::Family::kIpv4;
  uint8_t protocol = 0;
  uint32_t id = 0;
  const uint8_t* source = nullptr;
  const uint8_t* destination = nullptr;
};
uint64_t FragmentHash(uint64_t key, const FragmentId& id);
WorkerId OwnerOfFragments(uint64_t fragment_hash, size_t worker_count);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_OWNER_H_
