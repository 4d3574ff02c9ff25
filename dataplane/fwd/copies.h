#ifndef SLUICE_DATAPLANE_FWD_COPIES_H_
#define SLUICE_DATAPLANE_FWD_COPIES_H_

#include <span>

#include "dataplane/base/ids.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/worker_counters.h"

// Some packets of connections with cookies say nothing of their backend: a client's RST without timestamps, as Linux
// answers what it has no socket for, an ICMP error whose router quotes too little for them, and any about QUIC, which
// quotes the client's connection id. The hash's choice is a
// guess then: another policy may have placed the connection, or backends have changed since. So the VIP's other
// backends get a copy each. It is of use to the one that has the connection, and the others' kernels, which find no
// socket for it, ignore it (RFC 9293, section 3.5.2; RFC 5927, section 4.1).
namespace sluice::fwd {

struct FlowView;
struct StateSpec;

// Fills the state's `pool_backends`; its VIPs are there. Control thread.
void BuildPoolBackends(const StateSpec& spec, const ForwardingState* previous, ForwardingState& state);

// Whether the packet, which this rung placed, may be any backend's of the VIP. Not at the first tier, where any tier-2
// director will copy it to all backends. Worker thread.
bool GoesToAllBackends(const VipEntry& vip, const FlowView& flow, Rung rung);

// The backends of a VIP whose packets may be anybody's: all that there are, also those that drain or are down, and
// those of its pool's backup.
inline std::span<const BackendId> BackendsOf(const ForwardingState& state, const VipEntry& vip) {
  const auto& backends = state.pool_backends[vip.own_pool.index()];
  return {backends->data(), backends->size()};
}

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_COPIES_H_
