#include <optional>

#include "controlplane/metrics/parts.h"

namespace sluice::metrics {

void CollectChecks(const Sources& sources, const model::Snapshot& now, Families& out) {
  Family up = GaugeFamily("sluice_health_check_up",
                          "What the health check of the backend says: 1: up, or nothing yet; 0: down.");
  Family checks = CounterFamily("sluice_health_checks_total",
                                "Health checks of the backend that passed, failed, or could not be made.");
  Family transitions = CounterFamily("sluice_health_check_transitions_total",
                                     "How often the health check of the backend changed its mind.");
  Family duration = CounterFamily("sluice_health_check_duration_seconds_total",
                                  "Time that the health checks of the backend took that passed.");
  Family load =
      GaugeFamily("sluice_backend_load_ratio",
                  "Load that the backend reports in the answers to its health check, smoothed; 1: fully used.");
  for (const auto& pool : now.registry->pools) {
    if (!pool->health_check || sources.checks == nullptr) continue;
    for (const model::BackendRecord& backend : pool->backends) {
      const std::optional<model::CheckStatus> status = sources.checks->StatusOf(backend.id);
      if (!status) continue;
      const Label in_pool{"pool", pool->name};
      const Label name{"backend", backend.desired.name};
      up.Add({in_pool, name}, model::IsUsable(status->health) ? 1 : 0);
      checks.Add({in_pool, name, {"result", "passed"}}, status->passed);
      checks.Add({in_pool, name, {"result", "failed"}}, status->failed);
      checks.Add({in_pool, name, {"result", "not_made"}}, status->not_made);
      transitions.Add({in_pool, name}, status->transitions);
      if (status->load) load.Add({in_pool, name}, *status->load);
      duration.Add({in_pool, name}, std::chrono::duration<double>(status->total_latency).count());
    }
  }
  out.Add(std::move(up));
  out.Add(std::move(checks));
  out.Add(std::move(transitions));
  out.Add(std::move(duration));
  out.Add(std::move(load));
}

}  // namespace sluice::metrics
