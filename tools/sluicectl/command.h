#ifndef SLUICE_TOOLS_SLUICECTL_COMMAND_H_
#define SLUICE_TOOLS_SLUICECTL_COMMAND_H_

#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/sluicectl/arguments.h"
#include "tools/sluicectl/tls_files.h"

namespace sluice::ctl {

// What a command is run with.
struct Invocation {
  std::string server;
  TlsFiles tls;
  bool json = false;  // for programs: PrintMessage says in which language
  bool yaml = false;  // with `json`: in YAML
  bool wide = false;  // tables with all columns
  ParsedArguments arguments;
  std::vector<std::string> operands;  // the words after the command's own
  std::ostream& out;
};

struct Command {
  std::string_view words;     // "get vips"
  std::string_view operands;  // for help: "[NAME...]"
  size_t min_operands = 0;
  size_t max_operands = 0;
  std::vector<std::string_view> flags;  // those of its own
  std::string_view summary;             // a line in the overview
  std::string_view help;                // what else there is to know
  std::function<absl::Status(Invocation&)> run;
};

// All commands, in the order of the overview.
const std::vector<Command>& Commands();
const std::vector<FlagSpec>& Flags();

// The command that `words` begin with, and how many of them name it. kInvalidArgument with a suggestion.
struct Found {
  const Command* command = nullptr;
  size_t words = 0;
};
absl::StatusOr<Found> FindCommand(const std::vector<std::string>& words);
// Whether the flags that were given belong to the command, and the number of operands is right.
absl::Status CheckUse(const Command& command, const ParsedArguments& arguments, size_t operands);

std::string OverviewHelp();
std::string CommandHelp(const Command& command);

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_COMMAND_H_
