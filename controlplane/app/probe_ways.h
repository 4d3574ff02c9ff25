#ifndef SLUICE_CONTROLPLANE_APP_PROBE_WAYS_H_
#define SLUICE_CONTROLPLANE_APP_PROBE_WAYS_H_

#include <cstdint>
#include <deque>
#include <set>

#include "config/schema.h"
#include "controlplane/probe/way.h"
#include "dataplane/fwd/interfaces.h"
#include "dataplane/runtime/probe_routes.h"

namespace sluice::app {

// The ways of health checks through this process's data plane. Each probe has a source port of its own: by it workers
// know to which backend its packets go. A port rests as long as possible before its next use, so that late packets of
// the one before are not taken for the next one's.
class ProbeWays final : public probe::Ways {
 public:
  // Both must live longer.
  ProbeWays(const config::PortRange& source_ports, runtime::ProbePaths& paths, const fwd::DataplaneView& view);

  absl::StatusOr<probe::Way> Open(const health::CheckTarget& target) override;
  void Close(const probe::Way& way) override;
  void Keep(const std::set<net::IpAddress>& addresses) override { paths_.routes.Keep(addresses); }

 private:
  // The port behind which the backend is; the first one with an exception port while that is not known.
  size_t PortOf(BackendId backend) const;

  runtime::ProbePaths& paths_;
  const fwd::DataplaneView& view_;
  std::deque<uint16_t> free_;
};

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_PROBE_WAYS_H_
