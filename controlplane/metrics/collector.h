#ifndef SLUICE_CONTROLPLANE_METRICS_COLLECTOR_H_
#define SLUICE_CONTROLPLANE_METRICS_COLLECTOR_H_

#include <prometheus/collectable.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/drain/drain_book.h"
#include "controlplane/metrics/reload_status.h"
#include "controlplane/model/call_stats.h"
#include "controlplane/model/check_status.h"
#include "controlplane/model/dataplane_facts.h"
#include "controlplane/model/snapshot.h"
#include "dataplane/fwd/interfaces.h"

namespace sluice::metrics {

// What a collector reads; all of it must live longer than the collector.
struct Sources {
  const fwd::DataplaneView& view;
  const model::DataplaneFacts& facts;
  const model::SnapshotSource& truth;
  const ReloadStatus& reload;
  std::string version;
  double started_unix_s = 0;
  const model::CallStats* calls = nullptr;           // null: not shown
  const model::CheckStatusSource* checks = nullptr;  // null: nothing is checked
  const drain::DrainBook* drains = nullptr;          // null: not shown
  // When the API's certificate ends, in seconds since 1970; null, or nothing: not shown.
  std::function<std::optional<double>()> certificate_expiry;
};

// Makes the metrics when they are asked for, from the workers' own counters: between scrapes nothing is spent on them.
// Labels take their values from the configuration and from closed lists, never from traffic. Any thread.
class Collector : public prometheus::Collectable {
 public:
  explicit Collector(Sources sources) : sources_(std::move(sources)) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Sources sources_;
};

}  // namespace sluice::metrics

#endif  // SLUICE_CONTROLPLANE_METRICS_COLLECTOR_H_
