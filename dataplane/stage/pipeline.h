#ifndef SLUICE_DATAPLANE_STAGE_PIPELINE_H_
#define SLUICE_DATAPLANE_STAGE_PIPELINE_H_

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>

#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// Takes packets off the pipeline's hands: the worker's queues and rings, a replay's files, a test's vectors.
class PacketSink {
 public:
  virtual ~PacketSink() = default;
  // The sink owns the packets from here on, in order; `bytes` are their FrameBytes. It counts `forwarded` for those
  // that left and drops the others with kTxQueueFull.
  virtual void Transmit(PortId port, rte_mbuf** mbufs, size_t count, uint64_t bytes) = 0;
  // One answer made here, which leaves by `port`. The sink counts `answered`, or drops it with kTxQueueFull.
  virtual void Answer(PortId port, rte_mbuf* mbuf) = 0;
  // One packet for the host's kernel behind `port`. The sink counts its fate, now or when it is written.
  virtual void Punt(PortId port, PuntClass punt_class, rte_mbuf* mbuf) = 0;
  // One packet for another worker, which runs it with Resume. The sink counts `handed_over`, or drops it with
  // kHandoverQueueFull. Never called where there is one worker.
  virtual void HandOver(WorkerId owner, rte_mbuf* mbuf) = 0;
};

// Carries `count` (<= kBurstSize) received packets through all stages: counts them as received on `port`, decides each
// one's fate, and hands it to `sink` or frees it. Puts `mbufs` into groups of one kind (GroupByKind). `burst` is the
// caller's scratch space; after the call its records say what was decided for each packet, in the order of `mbufs` as
// it is then (the mbufs themselves are gone). Unless env.wants_records a burst may go without: its count is 0 then.
// Worker thread; no allocation, lock or system call.
void RunPipeline(rte_mbuf** mbufs, size_t count, PortId port, StageEnv& env, Burst& burst, PacketSink& sink);

// The same for packets that another worker handed over: they run through all stages once more, and are not counted as
// received again. What their last worker knew of them came along in the mbuf (stage/travel_note.h).
void ResumePipeline(rte_mbuf** mbufs, size_t count, StageEnv& env, Burst& burst, PacketSink& sink);

// The same for up to kBurstSize fragments that wait no more, because their packet's first one has come, or their time
// is over (lb::FragmentTable::Expire). To be called after each of the above until it returns 0; returns how many there
// were.
size_t ResumeFragments(StageEnv& env, Burst& burst, PacketSink& sink);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_PIPELINE_H_
