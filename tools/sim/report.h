#ifndef SLUICE_TOOLS_SIM_REPORT_H_
#define SLUICE_TOOLS_SIM_REPORT_H_

#include <ostream>

#include "tools/sim/simulation.h"
#include "tools/sim/workload.h"

namespace sluice::sim {

void PrintTable(const WorkloadOptions& options, const Result& result, std::ostream& out);
// One object on one line.
void PrintJson(const WorkloadOptions& options, const Result& result, std::ostream& out);

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_REPORT_H_
