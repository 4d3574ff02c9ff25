#ifndef SLUICE_TOOLS_REPLAY_SCENARIO_RUN_H_
#define SLUICE_TOOLS_REPLAY_SCENARIO_RUN_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/replay/engine.h"
#include "tools/replay/replay_capture.h"
#include "tools/replay/report.h"
#include "tools/replay/scenario.h"

namespace sluice::replay {

// What was not as a scenario says.
struct Verdict {
  size_t failures = 0;
  std::string first;  // "steps.yaml:12: step 3: totals.forwarded is 2, expected 3"
};

// The port of a name; the default one for an empty name.
using PortByName = std::function<absl::StatusOr<PortId>(const std::string& name)>;

// Takes all steps in order, also after failures. An error (of a file) ends the run and names the step; the report then
// tells of the steps until there. `collected` gets the packets of steps without files of their own.
absl::StatusOr<Verdict> RunScenario(const Scenario& scenario, Engine& engine, const PortByName& port_by_name,
                                    Outputs& collected, Report& report);

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_SCENARIO_RUN_H_
