#ifndef SLUICE_TOOLS_BACKEND_COMMAND_LINE_H_
#define SLUICE_TOOLS_BACKEND_COMMAND_LINE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/backend/options.h"

namespace sluice::backend {

enum class Command : uint8_t { kRun, kAttach, kDetach, kStatus, kCheck, kHelp, kVersion };

struct CommandLine {
  Command command = Command::kHelp;
  bool json = false;
  std::string config;
  // Options with a value, in their order: name without the dashes, value.
  std::vector<std::pair<std::string, std::string>> settings;
  bool clamp_mss = true;
};

extern const char* const kUsage;

// kInvalidArgument says what is wrong.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

// The file's options, if there is one, with those of the command line over them.
absl::StatusOr<Options> ReadOptions(const CommandLine& command_line);

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_COMMAND_LINE_H_
