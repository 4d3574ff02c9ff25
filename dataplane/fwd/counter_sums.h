#ifndef SLUICE_DATAPLANE_FWD_COUNTER_SUMS_H_
#define SLUICE_DATAPLANE_FWD_COUNTER_SUMS_H_

#include "dataplane/base/ids.h"
#include "dataplane/fwd/interfaces.h"
#include "dataplane/fwd/worker_counters.h"

// Each adds what one thread counted to a sum over threads. Any thread. An id that the thread has no counters for adds
// nothing.
namespace sluice::fwd {

void AddTotals(const WorkerCounters& counters, PacketTotals& totals);
void AddVip(const WorkerCounters& counters, VipId id, VipStats& stats);
void AddBackend(const WorkerCounters& counters, BackendId id, BackendStats& stats);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_COUNTER_SUMS_H_
