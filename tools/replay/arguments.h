#ifndef SLUICE_TOOLS_REPLAY_ARGUMENTS_H_
#define SLUICE_TOOLS_REPLAY_ARGUMENTS_H_

#include <optional>
#include <string>

namespace sluice::replay {

// The command line; what was not given is empty. Either `in` or `scenario` is set.
struct Arguments {
  std::string config, in, scenario, out, host, port, mac, neighbours;
  bool json = false;
  bool totals_only = false;
};

// The exit status when the program is to end now: after --help, or because something is wrong, which was said.
std::optional<int> ParseArguments(int argc, char** argv, Arguments* arguments);

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_ARGUMENTS_H_
