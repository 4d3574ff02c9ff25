#ifndef SLUICE_DATAPLANE_FWD_LADDER_H_
#define SLUICE_DATAPLANE_FWD_LADDER_H_

#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/drop_reason.h"
#include "dataplane/base/ids.h"
#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/net/address.h"

namespace sluice::fwd {

// What the ladder looks at of one packet of a VIP.
struct FlowView {
  const uint8_t* client = nullptr;       // source address: 4 or 16 bytes
  const uint8_t* destination = nullptr;  // the VIP's address, or one of a VIP's prefix
  net::Family family = net::Family::kIpv4;
  uint8_t protocol = 0;
  uint8_t tcp_flags = 0;
  // The packet is not the flow's own but about it (an ICMP error that quotes it): it finds the flow's backend and
  // changes nothing.
  bool related = false;
  // The flow's TCP timestamps, looked for where the VIP has cookies: whether there are any, and the one that the client
  // echoes, which a SYN does not. Of a packet about the flow, what a packet of the server says.
  bool has_timestamps = false;
  bool has_echo = false;
  bool is_part = false;  // a fragment; one that is not the first has what that one says
  Be16 client_port = {};
  Be16 destination_port = {};
  VipId vip;
  uint32_t echo = 0;   // host byte order
  uint32_t bytes = 0;  // of the IP packet; looked for where the VIP has slots
  // The destination id of a QUIC packet that has one of a server, looked for where the VIP has QUIC: has_echo then says
  // that there is one. Of a short header, which does not tell the id's length, as much as an id can have.
  const uint8_t* quic_id = nullptr;
  uint8_t quic_id_size = 0;
  uint64_t hash = 0;  // lb::FlowHashes of the flow's packets
};

struct Selection {
  BackendId backend;  // invalid: the packet is dropped for `reason`
  Rung rung = Rung::kNone;
  DropReason reason = DropReason::kNoBackend;
  Refusal refusal = Refusal::kDrop;  // without a backend: how its sender is told
  uint32_t syn_echo = 0;  // the TSecr for the SYN, host byte order (lb::SynEcho, lb::SynTier); 0: it stays as it is
};

// That no backend can be had for a new flow of the VIP.
Selection NoBackendFor(const VipEntry& vip);

// Whether a packet of a flow whose backend is down is answered with a reset (OnDown::kReset, for those that neither
// begin nor reset a connection themselves).
bool IsResetByDown(const BackendEntry& backend, uint8_t protocol, uint8_t tcp_flags);

// Whether a packet that goes on with a flow of the backend goes there: errors, and the last word of a connection, do so
// in any case.
bool StaysWith(const BackendEntry& backend, const FlowView& flow);

// What the scheduler goes by. The flow's own hash also chooses its bucket in the connection table, so affinity must not
// narrow that one.
uint64_t SchedulerHash(const lb::HashKeys& keys, HashInput input, const FlowView& flow);

// The slot of the pool's table that the scheduler looks at for a flow, and whose it is. Invalid and 0 when the pool has
// no backend for new flows. Counts nothing.
struct ScheduledSlot {
  BackendId backend;
  uint32_t slot = 0;
  uint32_t slots = 0;
};
ScheduledSlot ScheduleSlot(const ForwardingState& state, const FlowView& flow);

// The scheduler's choice for a flow; invalid when the pool has no backend for new flows. Counts nothing.
BackendId ScheduleFlow(const ForwardingState& state, const FlowView& flow);

// The backend that the flow's entry in the connection table, or its slot, names; invalid without one. Changes and
// counts nothing.
BackendId TrackedBackend(const ForwardingState& state, const FlowView& flow, FlowTables& tables);

// What the connection table, or its slot, knows of a flow.
struct TrackedFlow {
  bool exists = false;
  bool backend_exists = false;  // else the flow's next packet gets another backend
  bool over = false;            // its time has passed, although it was not swept yet
  BackendId backend;
  lb::FlowState state = lb::FlowState::kFree;
  uint32_t idle_s = 0;
  // Of a connection in a slot only.
  bool in_slot = false;
  uint32_t packets = 0;  // of the client, modulo 2^32, and their bytes
  uint64_t bytes = 0;
  uint32_t age_s = 0;
};
// A slot is found without the packet's word. Changes and counts nothing.
TrackedFlow FindTracked(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables);

// Notes a packet that `sender` (an address of the flow's family) sent back, for VIPs whose replies come this way: if it
// is the backend of the flow's entry, the packet keeps that alive, or ends it as the client's would.
void NoteReply(const ForwardingState& state, const FlowView& flow, const uint8_t* sender, uint32_t now_s,
               FlowTables& tables);

// The one place where a backend is chosen, rung by rung: the cookie in the packet, the connection table, then the
// scheduler (the pool's Maglev table), which enters the flow into the table. A cookie that names no backend of the pool
// counts as none. Connections with timestamps to VIPs with slots get one with their SYN (slots.h). Those of other VIPs
// with cookies are not entered: what can be made up makes no state. A
// packet of a known flow stays with its backend as long as that backend exists, draining or not; when it is gone, the
// flow gets a new one. When it is down, OnDown tells what becomes of the flow, whether the table or a cookie named it;
// one of which only SYNs were seen gets a new backend in any case. An RST of an unknown flow leaves no entry, nor does
// a new flow when too many of which only one packet was seen are in the table: it goes by the hash. VIPs that do not
// track their connections go by the hash alone, and so do safe flows where only the others are tracked (homes.h).
// Counts rungs, flows and table events. Worker thread.
Selection SelectBackend(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                        WorkerCounters& counters);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_LADDER_H_
