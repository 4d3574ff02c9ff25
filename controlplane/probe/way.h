#ifndef SLUICE_CONTROLPLANE_PROBE_WAY_H_
#define SLUICE_CONTROLPLANE_PROBE_WAY_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/health/check_spec.h"

namespace sluice::probe {

// What a probe's socket must have to take the way that is meant for it.
struct Way {
  std::string device;        // that it is bound to; empty: the host's routes decide
  uint16_t source_port = 0;  // host byte order; 0: any
};

// Gives probes their ways. The probing thread.
class Ways {
 public:
  virtual ~Ways() = default;
  // A way for one probe. Errors say what is missing on this director; the probe is then not made.
  virtual absl::StatusOr<Way> Open(const health::CheckTarget& target) = 0;
  // The probe's socket is closed, or its source port turned out to be in use by somebody else.
  virtual void Close(const Way& way) = 0;
  // Probes will be addressed to these only from now on.
  virtual void Keep(const std::set<net::IpAddress>& addresses) = 0;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_WAY_H_
