#ifndef SLUICE_DATAPLANE_STAGE_FAST_TRACKED_BURST_H_
#define SLUICE_DATAPLANE_STAGE_FAST_TRACKED_BURST_H_

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_parse.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// Full bursts of nothing but TCP over IPv4 whose connections all go on, or all begin, to VIPs of the way kTable whose
// backends are behind tunnels of IP in IPv4. Workers ask for no records, so none are made: what one pass tells the next
// it writes into short arrays, and what does not vary from packet to packet is asked once a burst. That saves a fifth
// of the instructions (rows table, 1 k flows, and new). Where a packet turns up that is not of the kind, or is the
// ladder's, records are made of what is known, and the other passes go on from there.
namespace sluice::stage {

// What a burst's packets all do to their connections, where it may be of the kind by what its frames tell and by its
// first VIP, and nobody wants its records.
enum class TrackedBurst : uint8_t { kNone, kRunning, kBeginning };
TrackedBurst TrackedBurstOf(const Parsed& parsed, const StageEnv& env);

// What all passes do of such a burst, which came by `port`. A valid port: all is done, and burst.count is 0, because
// there are no records. Invalid: records tell how far each packet is, as those of the other passes do, for the first
// `looked_up`, of which `selected` are Past::kSelection or kAll; nothing is known yet of the rest.
struct Unfinished {
  size_t looked_up = 0;
  size_t selected = 0;
};
Sent SendTrackedBurst(rte_mbuf* const* mbufs, PortId port, TrackedBurst kind, Parsed& parsed, Burst& burst,
                      WantedEntries& wanted, Unfinished& unfinished, StageEnv& env);

// The packet's backend is chosen: as MarkChosen.
inline void ChooseUnrecorded(Parsed& parsed, size_t place, size_t backend, const fwd::BackendEntry* backends,
                             const fwd::BackendCounters* counters) {
  const BackendIndex index(backend);
  parsed.backend_offset[place] = index.offset();
  PrefetchBackend(index, backends, counters);
}

// The packet's flow hash, made once more: the few that need it do not make all others keep it.
SLUICE_FAST_PATH inline uint64_t HashOfUnrecorded(const Parsed& parsed, size_t place, const StageEnv& env) {
  using net::Family;
  const uint8_t* const source = parsed.frame[place] + kSource<Family::kIpv4>;
  return HashOf<Family::kIpv4, net::kProtocolTcp>(source, lb::LoadFlowKeys(*env.state->keys));
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_TRACKED_BURST_H_
