#ifndef SLUICE_DATAPLANE_STAGE_NAT_H_
#define SLUICE_DATAPLANE_STAGE_NAT_H_

#include "dataplane/lb/nat_session.h"
#include "dataplane/lb/return_table.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// What the stages do for VIPs with address translation (destination NAT and full NAT), in both directions. Worker
// thread; no allocation, lock, or system call.
namespace sluice::stage {

// LookupVip: for a packet that is addressed to no VIP. Tells backends' answers, and ICMP errors about what was sent to
// backends, from all else, which is punted; sets `direction`. A packet of another worker's flow is handed over. Returns
// the service that was asked, and sets `vip`, where that needs no session; otherwise null.
const lb::ReturnService* RecogniseReply(Packet& packet, StageEnv& env);

// The same of a whole packet with ports, for the fast path. Of an answer of this worker's that only its session tells
// more of, `direction` is kToClient and the fate pending. Otherwise the fate is decided, or `direction` stays, and the
// return table may know more.
void RecogniseSessionReply(Packet& packet, StageEnv& env);

// LookupVip: for a client's packet to a VIP with address translation: hands it over if another worker owns its flow.
void FindOwner(Packet& packet, StageEnv& env);

// SelectBackends: the session, and for a client's packet the backend.
void SelectForNat(Packet& packet, StageEnv& env);
void SelectReply(Packet& packet, StageEnv& env);

// Takes note of a backend's packet in its session.
void NoteReply(const Packet& packet, lb::NatSession& session, uint32_t now_s);

// The session that SelectBackends found for the packet; null when another packet of the burst has ended it since.
lb::NatSession* SessionOf(const Packet& packet, StageEnv& env);

// Rewrite: new addresses, ports and what follows from them, one hop less, and the way out.
void RewriteToBackend(Packet& packet, StageEnv& env);
void RewriteToClient(Packet& packet, StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_NAT_H_
