#include <chrono>
#include <string>
#include <utility>

#include "controlplane/drain/drain_book.h"
#include "controlplane/metrics/parts.h"

namespace sluice::metrics {

void CollectDrains(const Sources& sources, Families& out) {
  if (sources.drains == nullptr) return;
  Family active = GaugeFamily("sluice_drains_active", "Drains that are on their way.");
  Family ended = CounterFamily("sluice_drains_ended_total", "Drains that ended since the start, by how they ended.");
  Family withdrawn = GaugeFamily("sluice_node_withdrawn", "1: a drain withdraws the node, and /healthz says so.");
  Family flows = GaugeFamily("sluice_drain_flows_left", "Flows that are left, of drains that are on their way.");
  Family started = GaugeFamily("sluice_drain_flows_at_start", "Flows that there were when the drain began.");
  Family bytes = CounterFamily("sluice_drain_bytes_total", "Bytes sent to the backends since the drain began.");
  Family deadline =
      GaugeFamily("sluice_drain_deadline_timestamp_seconds",
                  "When the drain ends at the latest, in seconds since 1970; drains without one have none.");
  uint64_t count = 0;
  for (const drain::Drain& drain : sources.drains->List()) {
    if (!drain.on_its_way()) continue;
    ++count;
    const std::string number = std::to_string(drain.id);
    const std::string name = drain.object();
    const Label id{"drain", number};
    const Label object{"object", name};
    flows.Add({id, object}, drain.flows_left);
    started.Add({id, object}, drain.flows_at_start);
    bytes.Add({id, object}, drain.bytes);
    if (drain.order.deadline.count() > 0) {
      const auto at = (drain.started_at + drain.order.deadline).time_since_epoch();
      deadline.Add({id, object}, std::chrono::duration<double>(at).count());
    }
  }
  active.Add({}, count);
  withdrawn.Add({}, sources.drains->WhyWithdrawn().empty() ? 0 : 1);
  const auto by_phase = sources.drains->Ended();
  for (size_t i = 0; i < drain::kPhases; ++i) {
    const auto phase = static_cast<drain::Phase>(i);
    if (phase != drain::Phase::kDraining) ended.Add({{"phase", drain::PhaseName(phase)}}, by_phase[i]);
  }
  for (Family* family : {&active, &ended, &withdrawn, &flows, &started, &bytes, &deadline}) out.Add(std::move(*family));
}

}  // namespace sluice::metrics
