#include <string>

#include "controlplane/drain/drain_book.h"
#include "controlplane/metrics/parts.h"

namespace sluice::metrics {

void CollectDrains(const Sources& sources, Families& out) {
  if (sources.drains == nullptr) return;
  Family active = GaugeFamily("sluice_drains_active", "Drains that are on their way.");
  Family withdrawn = GaugeFamily("sluice_node_withdrawn", "1: the node is being drained, and its health checks fail.");
  Family flows = GaugeFamily("sluice_drain_flows_left", "Flows that are left, of drains that are on their way.");
  Family deadline =
      GaugeFamily("sluice_drain_deadline_timestamp_seconds",
                  "When the drain ends at the latest, in seconds since 1970; drains without one have none.");
  uint64_t count = 0;
  for (const drain::Drain& drain : sources.drains->List()) {
    if (drain.phase != drain::Phase::kDraining) continue;
    ++count;
    const std::string id = std::to_string(drain.id);
    const std::string object = drain.object();
    flows.Add({{"drain", id}, {"object", object}}, drain.flows_left);
    if (drain.order.deadline.count() > 0) {
      deadline.Add({{"drain", id}, {"object", object}},
                   std::chrono::duration<double>((drain.started_at + drain.order.deadline).time_since_epoch()).count());
    }
  }
  active.Add({}, count);
  withdrawn.Add({}, sources.drains->withdrawn() ? 1 : 0);
  out.Add(std::move(active));
  out.Add(std::move(withdrawn));
  out.Add(std::move(flows));
  out.Add(std::move(deadline));
}

}  // namespace sluice::metrics
