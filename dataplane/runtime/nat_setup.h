#ifndef SLUICE_DATAPLANE_RUNTIME_NAT_SETUP_H_
#define SLUICE_DATAPLANE_RUNTIME_NAT_SETUP_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/fwd/nat_flows.h"
#include "dataplane/runtime/options.h"
#include "dataplane/runtime/port.h"
#include "dataplane/runtime/reply_steering.h"

// What workers get for address translation, at start. Main thread.
namespace sluice::runtime {

// How each worker finds local ports whose replies the devices bring to it. Empty where that is not known: with one
// worker, and unless all ports, which are started, spread packets by the same rule, since which of them a backend is
// behind may change.
std::vector<std::unique_ptr<RssSteering>> MakeReplySteering(const DataplaneOptions& options,
                                                            const std::vector<std::unique_ptr<Port>>& ports);

// kInvalidArgument for more local addresses than there can be. `steering` may be null.
absl::StatusOr<fwd::NatSetup> MakeNatSetup(const DataplaneOptions& options, WorkerId worker,
                                           const lb::ReplySteering* steering);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_NAT_SETUP_H_
