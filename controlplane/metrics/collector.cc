#include "controlplane/metrics/collector.h"

#include <utility>

#include "controlplane/metrics/families.h"
#include "controlplane/metrics/parts.h"

namespace sluice::metrics {

std::vector<prometheus::MetricFamily> Collector::Collect() const {
  const model::Snapshot now = sources_.truth.Current();
  Families families;
  CollectInstance(sources_, now, families);
  CollectPackets(sources_, families);
  CollectVips(sources_, now, families);
  CollectPools(sources_, now, families);
  CollectChecks(sources_, now, families);
  CollectDrains(sources_, families);
  CollectPorts(sources_, families);
  CollectWorkers(sources_, families);
  return std::move(families).Take();
}

}  // namespace sluice::metrics
