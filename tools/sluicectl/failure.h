#ifndef SLUICE_TOOLS_SLUICECTL_FAILURE_H_
#define SLUICE_TOOLS_SLUICECTL_FAILURE_H_

#include <string>

#include "absl/status/status.h"

namespace sluice::ctl {

enum ExitCode : int {
  kExitOk = 0,
  kExitRefused = 1,      // sluiced refused or failed, or a file is invalid
  kExitUsage = 2,        // the command line is wrong
  kExitUnreachable = 3,  // sluiced does not answer
  kExitDiffers = 4,      // diff found a difference
  kExitFlowsLeft = 5,    // drain --wait ran out of time
};

// An error that leads to `code`; an error without this mark leads to kExitRefused. The status' own code does not tell:
// sluiced answers kUnavailable and kInvalidArgument too.
absl::Status Failure(ExitCode code, absl::StatusCode status_code, const std::string& message);
// The command line is wrong.
absl::Status UsageError(const std::string& message);
ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_FAILURE_H_
