#ifndef SLUICE_DATAPLANE_STAGE_ANSWER_H_
#define SLUICE_DATAPLANE_STAGE_ANSWER_H_

#include <cstdint>

#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Packets that become their own answer: it goes back in the same buffer, by the port it came by and to the station that
// sent it. Each takes from the worker's budget of answers; beyond it the packet is dropped (kAnswerRateLimited).
namespace sluice::stage {

// An echo request for a VIP becomes the VIP's reply.
void AnswerEcho(Packet& packet, StageEnv& env);

// A packet that is larger than `mtu_bytes`, the largest IP packet that would fit, becomes an error that says so, from
// the VIP to the client, or from the port's own address to a backend whose answer it was: "fragmentation needed" (RFC
// 792, RFC 1191) or "packet too big" (RFC 4443). An IPv4 packet that may be fragmented, an ICMP error, and an IPv6
// packet where less than 1280 bytes would fit, get no answer and are dropped as kTooBig.
void AnswerTooBig(Packet& packet, uint32_t mtu_bytes, StageEnv& env);

// A packet with no hop left becomes an error that says so, from the port's own address or, where it has none, from whom
// the packet was addressed to. ICMP errors and fragments other than the first get no answer and are dropped as
// kTtlExpired.
void AnswerTimeExceeded(Packet& packet, StageEnv& env);

// A packet whose source route has stations to come, at `at` bytes of it, for which the other family has no counterpart
// (RFC 7915, sections 4.1 and 5.1), becomes an error that says so, likewise; what gets no answer is dropped as
// kNatUntranslatable.
void AnswerOpenRoute(Packet& packet, uint32_t at, StageEnv& env);

// A packet that gets no backend becomes what `refusal` says, from the VIP to its client, or is dropped for `reason`.
// ICMP errors, resets, and fragments other than the first get no answer.
void AnswerRefusal(Packet& packet, fwd::Refusal refusal, DropReason reason, StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_ANSWER_H_
