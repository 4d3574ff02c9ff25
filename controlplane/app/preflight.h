#ifndef SLUICE_CONTROLPLANE_APP_PREFLIGHT_H_
#define SLUICE_CONTROLPLANE_APP_PREFLIGHT_H_

#include <string>

#include "config/schema.h"
#include "controlplane/preflight/demand.h"
#include "controlplane/preflight/finding.h"

namespace sluice::app {

// What `config`, read from `file`, asks of the machine, in the preflight's words.
preflight::Demand ToDemand(const config::Config& config, const std::string& file);

enum class Probing : uint8_t {
  kLookOnly,     // touches no device
  kOpenDevices,  // asks their drivers as well; in the place of a start, not before one
};

// Looks at this machine and says whether it can do what `config` asks. Main thread: it may let the process use the CPUs
// that workers.cpus names (AllowCpus), as the start does.
preflight::Findings RunPreflight(const config::Config& config, const std::string& file, Probing probing);

// Warnings and errors as lines of the log; what is in order is not news.
void LogFindings(const preflight::Findings& findings);

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_PREFLIGHT_H_
