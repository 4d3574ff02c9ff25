#ifndef SLUICE_CONTROLPLANE_APP_COMMAND_LINE_H_
#define SLUICE_CONTROLPLANE_APP_COMMAND_LINE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dataplane/base/log.h"

namespace sluice::app {

// What sluiced's process ends with.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailure = 1,        // could not start, or failed while running
  kExitUsage = 2,          // the command line is wrong
  kExitConfiguration = 3,  // the configuration is invalid or cannot be read
  kExitMachine = 4,        // this machine cannot do what the configuration asks
};

struct CommandLine {
  enum class Action { kRun, kCheck, kPreflight, kHelp, kVersion };
  Action action = Action::kRun;
  std::string config_file;
  bool json = false, probe = false;  // with kPreflight
  LogLevel log_level = LogLevel::kInfo;
};

// kInvalidArgument with a message for the user.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, char* const* argv);

std::string_view HelpText();

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_COMMAND_LINE_H_
