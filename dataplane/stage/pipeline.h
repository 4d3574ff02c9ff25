#ifndef SLUICE_DATAPLANE_STAGE_PIPELINE_H_
#define SLUICE_DATAPLANE_STAGE_PIPELINE_H_

#include <cstddef>

#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// Takes packets off the pipeline's hands: the worker's queues and rings, a replay's files, a test's vectors.
class PacketSink {
 public:
  virtual ~PacketSink() = default;
  // The sink owns the packets from here on, in order. It counts `forwarded` for those that left and drops the others
  // with kTxQueueFull.
  virtual void Transmit(PortId port, rte_mbuf** mbufs, size_t count) = 0;
  // One answer made here, which leaves by `port`. The sink counts `answered`, or drops it with kTxQueueFull.
  virtual void Answer(PortId port, rte_mbuf* mbuf) = 0;
  // One packet for the host's kernel behind `port`. The sink counts its fate, now or when it is written.
  virtual void Punt(PortId port, PuntClass punt_class, rte_mbuf* mbuf) = 0;
};

// Carries `count` (<= kBurstSize) received packets through all stages: counts them as received on `port`, decides each
// one's fate, and hands it to `sink` or frees it. `burst` is the caller's scratch space; after the call its records say
// what was decided for each packet, in order (the mbufs are gone). Worker thread; no allocation, lock or system call.
void RunPipeline(rte_mbuf** mbufs, size_t count, PortId port, StageEnv& env, Burst& burst, PacketSink& sink);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_PIPELINE_H_
