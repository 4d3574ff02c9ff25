#ifndef SLUICE_CONTROLPLANE_METRICS_PARTS_H_
#define SLUICE_CONTROLPLANE_METRICS_PARTS_H_

#include "controlplane/metrics/collector.h"
#include "controlplane/metrics/families.h"

// The parts of a scrape, one for each kind of object.
namespace sluice::metrics {

// The process, the state in force and how publishing goes.
void CollectInstance(const Sources& sources, const model::Snapshot& now, Families& out);
// The terms of the packet sum, drops by reason.
void CollectPackets(const Sources& sources, Families& out);
void CollectVips(const Sources& sources, const model::Snapshot& now, Families& out);
// Backends, and pools by the state of their backends.
void CollectPools(const Sources& sources, const model::Snapshot& now, Families& out);
// Health checks by backend.
void CollectChecks(const Sources& sources, const model::Snapshot& now, Families& out);
// Drains that are on their way, and whether the node is withdrawn.
void CollectDrains(const Sources& sources, Families& out);
void CollectPorts(const Sources& sources, Families& out);
// Workers and their connection tables.
void CollectWorkers(const Sources& sources, Families& out);

}  // namespace sluice::metrics

#endif  // SLUICE_CONTROLPLANE_METRICS_PARTS_H_
