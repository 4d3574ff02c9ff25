#ifndef SLUICE_DATAPLANE_FWD_NAT_LADDER_H_
#define SLUICE_DATAPLANE_FWD_NAT_LADDER_H_

#include <cstdint>
#include <span>

#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/nat_session.h"
#include "dataplane/lb/return_table.h"

namespace sluice::fwd {

struct NatSelection {
  Selection selection;
  lb::NatSession* session = nullptr;  // null: the packet is translated without state, or dropped
};

// The ladder for a client's packet to a VIP with address translation: its session, then the scheduler, which opens one.
// `segment`: of TCP packets, as they came.
//
// Full NAT cannot do without a session, so a flow that gets none is dropped. A session begins with a SYN: a segment of
// an unknown connection is dropped (kNatNoSession), because no backend could know the local end that it would get, and
// an answer in the backend's name would end connections that come back to the director that knows them.
//
// Destination NAT needs one only where the backend's replies do not tell the VIP; elsewhere SelectBackend decides. A
// flow keeps its backend when that changes: what either table remembers is found.
NatSelection SelectNat(const ForwardingState& state, const FlowView& flow, const lb::NatSegment& segment,
                       uint32_t now_s, FlowTables& tables, WorkerCounters& counters);

// VIPs with cookies have a session for each flow, since their timestamps are changed and must come back as they were
// (lb/nat_stamps.h). A flow that has none here, because another director had it, or this one before it started again,
// finds its backend by its cookie, and gets a session; where there is no room for one it goes on without.

// The stamps for a backend's segment to a client that has no session, and belongs to the VIP `service`, which has
// cookies. Opens a session for it; where there is no room for one, `once` gets what this one packet needs. Null: the
// connection has no cookie, since it began before the VIP had them.
lb::NatStamps* AdoptStamps(const ForwardingState& state, const lb::NatTuple& reply, uint8_t tcp_flags,
                           const lb::ReturnService& service, uint32_t now_s, FlowTables& tables,
                           WorkerCounters& counters, lb::NatStamps& once);

// True when the client's packet has a session with this worker. Changes nothing.
bool HasSession(const FlowView& flow, FlowTables& tables);

// The session of a backend's packet, or null. Where destination NAT has none although it needs one, the flow may have
// begun when its VIP did not: if the connection table knows it under one of the VIPs that can be meant (`services`), it
// gets a session now.
lb::NatSession* FindReply(const ForwardingState& state, const lb::NatTuple& reply, uint64_t hash,
                          std::span<const lb::ReturnService> services, uint32_t now_s, FlowTables& tables,
                          WorkerCounters& counters);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_NAT_LADDER_H_
