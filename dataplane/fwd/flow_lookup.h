#ifndef SLUICE_DATAPLANE_FWD_FLOW_LOOKUP_H_
#define SLUICE_DATAPLANE_FWD_FLOW_LOOKUP_H_

#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/net/address.h"

namespace sluice::fwd {

// A flow that somebody asks about: the tuple of a client's packet to a VIP, and the TCP timestamp that the packet
// echoes, where one was given. Both addresses are of one family.
struct FlowQuestion {
  net::IpAddress client;
  net::IpAddress destination;
  Be16 client_port;
  Be16 destination_port;
  uint8_t protocol = 0;
  bool has_echo = false;
  uint32_t echo = 0;  // host byte order
};

// What one worker would do with the flow's next packet, and what that rests on: one that goes on with the flow where it
// is known, else the first.
struct FlowFinding {
  WorkerId worker;
  uint64_t generation = 0;  // of the state that was asked
  VipId vip;                // invalid: no VIP serves protocol and port at the address
  bool is_vip_address = false;
  uint64_t hash = 0;

  Rung rung = Rung::kNone;
  BackendId backend;  // invalid: none, the packet is treated as `refusal` says
  Refusal refusal = Refusal::kDrop;
  // `backend` is whom the pool's policy chooses for a new connection at this worker and moment.
  bool by_policy = false;
  // Of a VIP that tracks unsafe flows only, where the flow is not known: to whom it goes unless it begins now.
  BackendId home;
  // The second backend that the packet names (second_chance.h); invalid: none.
  BackendId second;
  // The hash's choice, whether it counts or not. No slots: no backend of the pool takes new flows.
  BackendId scheduled;
  uint32_t slot = 0;
  uint32_t slots = 0;

  // Whom the echoed timestamp names, itself or by its slot; invalid: nobody, or the VIP has no cookies.
  BackendId cookie;
  TrackedFlow tracked;

  bool has_session = false;        // of address translation
  bool source_translated = false;  // the session's source is `local`
  net::IpAddress local;
  Be16 local_port;

  // Of the outer header, where the VIP's mode is a tunnel; filled in by who knows the node.
  net::IpAddress tunnel_source;
  uint16_t udp_source_port = 0;
  uint32_t flow_label = 0;
};

// Looks, changes and counts nothing. The worker whose tables these are.
FlowFinding LookUpFlow(const ForwardingState& state, const FlowQuestion& question, uint32_t now_s, FlowTables& tables,
                       const WorkerCounters& counters);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_FLOW_LOOKUP_H_
