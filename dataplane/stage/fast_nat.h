#ifndef SLUICE_DATAPLANE_STAGE_FAST_NAT_H_
#define SLUICE_DATAPLANE_STAGE_FAST_NAT_H_

#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Address translation on the fast path (stage/fast_path.h): packets of flows that have a session, in both directions,
// of one family, with nothing to change but addresses, ports and the hop limit. SYNs, PROXY protocol headers,
// timestamps with cookies and flows without a session are the stages'. All functions leave what they do not do as it
// was. Most packets of such flows do not come here: see fast_sessions.h.
namespace sluice::stage {

// Whether packets to no VIP may be backends' answers.
inline bool Translates(const StageEnv& env) {
  const lb::LocalEnds& ends = env.tables->nat().setup().ends;
  return !env.state->returns->empty() || ends.v4.count + ends.v6.count != 0;
}

// Between the first pass and the second: fetches the sessions that the second will look at, and what those begin with
// that it will make. A session lies two accesses to memory away, which no CPU overlaps for packets whose work is done
// one after the other.
void PrefetchSessions(const Burst& burst, StageEnv& env);

// Second pass, of a packet of either direction: the session, what is noted in it, and the backend. False: the stages
// have to look.
bool SelectSession(Packet& packet, StageEnv& env);

// Third pass, of a packet that has a session: gives it its new ends and counts it. False: Rewrite has to.
bool SendTranslated(Packet& packet, StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_NAT_H_
