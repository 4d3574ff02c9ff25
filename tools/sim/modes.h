#ifndef SLUICE_TOOLS_SIM_MODES_H_
#define SLUICE_TOOLS_SIM_MODES_H_

#include <memory>
#include <string>
#include <vector>

#include "tools/sim/ladder_router.h"
#include "tools/sim/router.h"
#include "tools/sim/workload.h"

namespace sluice::sim {

// All that can be simulated; the ladder's modes with the policy that they have unless one is named.
std::vector<std::string> ModeNames();
// One of them, or one of the ladder's with a policy behind a colon.
bool IsMode(const std::string& text);

// The routers of a mode, of which IsMode is true: one for both definitions of broken, or one for each. `select` is
// the ladder's.
std::vector<std::unique_ptr<Router>> MakeRouters(const std::string& mode, const WorkloadOptions& workload,
                                                 SelectFunction select = &fwd::SelectBackend);

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_MODES_H_
