#ifndef SLUICE_DATAPLANE_FWD_SLOTS_H_
#define SLUICE_DATAPLANE_FWD_SLOTS_H_

#include <cstdint>

#include "dataplane/base/ids.h"
#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/worker_counters.h"

// The ladder's rung for VIPs with slots: connections whose packets say by their cookie where the worker keeps what it
// knows of them (lb/slot_table.h). The director chooses the slot when the SYN comes, and tells the backend's agent with
// it.
namespace sluice::fwd {

// Whether a packet begins a connection with timestamps.
bool BeginsWithTimestamps(const FlowView& flow);

// Whether such a packet may go where its echoes alone will tell: to a slot, or where the pool's policy says. The other
// fragments of a SYN in fragments, which nobody sends on purpose, could not follow it there.
bool TakesSlot(const FlowView& flow);

// A slot and a backend for the connection that the SYN begins, with what the SYN has to tell. Invalid when there is
// none, or too many connections in slots said nothing after their SYN: the connection table is next. A SYN that is sent
// again takes another slot, since it does not name its first one, which ends by its timeout. Counts. Worker thread.
Selection BeginInSlot(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                      WorkerCounters& counters);

struct SlotClaim {
  BackendId backend;
  bool known = false;  // the slot is this connection's
  bool moved = false;  // it has the backend since this packet
};

// The connection whose slot the echoed timestamp names, with the packet counted there. Where its backend is gone, or
// down and not for keeping, it keeps the slot and gets another backend; where nobody takes new flows it ends. A packet
// about the flow finds it and changes nothing. Worker thread.
SlotClaim ClaimSlot(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                    WorkerCounters& counters);

// The same for whoever only wants to know: changes and counts nothing. Invalid for VIPs without slots. Worker thread.
BackendId PeekSlot(const ForwardingState& state, const FlowView& flow, FlowTables& tables);

// What is known of the flow in a slot, found by its hash alone; `exists` is false where there is none. Changes and
// counts nothing. Worker thread.
TrackedFlow SearchSlot(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_SLOTS_H_
