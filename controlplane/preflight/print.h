#ifndef SLUICE_CONTROLPLANE_PREFLIGHT_PRINT_H_
#define SLUICE_CONTROLPLANE_PREFLIGHT_PRINT_H_

#include <string>

#include "controlplane/preflight/finding.h"

namespace sluice::preflight {

// For people: the findings, each with its remedy on a line of its own, and their number by severity.
std::string ToText(const Findings& findings);

// One JSON object: {"errors": 1, "warnings": 0, "findings": [{"severity": "error", "check": "device.driver",
// "subject": "...", "message": "...", "remedy": "..."}]}. A remedy that does not exist is left out.
std::string ToJson(const Findings& findings);

}  // namespace sluice::preflight

#endif  // SLUICE_CONTROLPLANE_PREFLIGHT_PRINT_H_
