#ifndef SLUICE_TOOLS_SIM_MODES_H_
#define SLUICE_TOOLS_SIM_MODES_H_

#include <memory>
#include <string>
#include <vector>

#include "tools/sim/ladder_router.h"
#include "tools/sim/router.h"
#include "tools/sim/workload.h"

namespace sluice::sim {

// All that can be simulated.
std::vector<std::string> ModeNames();

// The routers of a mode, which is one of ModeNames(): one for both definitions of broken, or one for each. `select` is
// the ladder's.
std::vector<std::unique_ptr<Router>> MakeRouters(const std::string& mode, const WorkloadOptions& workload,
                                                 SelectFunction select = &fwd::SelectBackend);

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_MODES_H_
