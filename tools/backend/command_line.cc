#include "tools/backend/command_line.h"

#include <array>
#include <set>
#include <string_view>

#include "config/problem.h"
#include "config/text.h"

namespace sluice::backend {
namespace {

using config::Cat;
using config::Quote;

constexpr std::array<std::pair<std::string_view, Command>, 5> kCommands = {{{"run", Command::kRun},
                                                                            {"attach", Command::kAttach},
                                                                            {"detach", Command::kDetach},
                                                                            {"status", Command::kStatus},
                                                                            {"check", Command::kCheck}}};
// Those that take a value; SetOption knows them.
constexpr std::array<std::string_view, 9> kSettings = {"interface", "address",  "director", "peer",         "vip",
                                                       "tunnel",    "gue-port", "mtu",      "family-change"};

absl::Status Unknown(std::string_view argument) {
  std::vector<std::string_view> known(kSettings.begin(), kSettings.end());
  known.insert(known.end(), {"config", "no-mss-clamp", "output", "help", "version", "check"});
  const std::string_view name = argument.starts_with("--") ? argument.substr(2) : argument;
  const std::string_view closest = config::ClosestWord(name, known);
  return absl::InvalidArgumentError(
      Cat(Quote(argument), " is no option", closest.empty() ? std::string() : Cat("; did you mean --", closest, "?")));
}

absl::Status SetCommand(std::string_view word, bool* given, CommandLine* line) {
  for (const auto& [name, command] : kCommands) {
    if (name != word) continue;
    if (*given) return absl::InvalidArgumentError(Cat(Quote(word), ": there is a command already; give one"));
    line->command = command;
    *given = true;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      Cat(Quote(word), " is no command; there are run, attach, detach, status and check"));
}

// An option with a value, `--name value` or `--name=value`.
absl::Status SetWithValue(const std::string& name, const std::string& value, CommandLine* line) {
  if (name == "config") {
    line->config = value;
    return absl::OkStatus();
  }
  if (name == "output") {
    if (value != "json" && value != "text") {
      return absl::InvalidArgumentError(Cat("--output: ", Quote(value), " is not text or json"));
    }
    line->json = value == "json";
    return absl::OkStatus();
  }
  line->settings.emplace_back(name, value);
  return absl::OkStatus();
}

bool TakesValue(std::string_view name) {
  if (name == "config" || name == "output") return true;
  for (const std::string_view each : kSettings) {
    if (each == name) return true;
  }
  return false;
}

}  // namespace

const char* const kUsage = R"(sluice-backend: what a backend needs to receive packets from sluiced through tunnels

  sluice-backend run    [options]   attach, keep it so, detach at SIGTERM; SIGHUP reads the file again
  sluice-backend attach [options]   attach and leave it so until `detach` or the next boot
  sluice-backend detach [--interface NAME]
  sluice-backend status [-o json]
  sluice-backend check  [options]   what the kernel and this host lack; also as --check

  --config FILE          YAML: the options below by their names with _ for -, lists in the plural
  --interface NAME,...   where packets of directors arrive and answers leave
  --address ADDRESS,...  where tunnels end; default: the interfaces' addresses
  --director PREFIX,...  from where tunnels may come; default: from everywhere
  --peer PREFIX,...      other backends, for packets of connections that are not here; default: none; needs --director
  --vip PREFIX,...       for whom packets in tunnels may be; default: the addresses on lo
  --tunnel KIND,...      ipip, gue, gue-direct, gre; default: all
  --gue-port PORT        default: 6080
  --mtu BYTES            of the path from the directors; default: the interfaces'
  --no-mss-clamp         leave the MSS of the VIPs' SYN-ACKs alone
  --family-change HOW    auto, flag (Linux 6.3 and later), redirect: how a packet of the other family goes on
  -o, --output text|json
  --version, --help

Packets that are no tunnel packets of these kinds to these addresses are left alone. Those that are and are not as they
should be are dropped and counted: `sluice-backend status` says why.

Exit status: 0; 1 when something failed, or `check` found an error; 2 for wrong usage or configuration.
)";

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  CommandLine line;
  bool given = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      line.command = Command::kHelp;
      return line;
    }
    if (argument == "--version") {
      line.command = Command::kVersion;
      return line;
    }
    absl::Status status;
    if (argument == "--check") {
      status = SetCommand("check", &given, &line);
    } else if (argument == "--no-mss-clamp") {
      line.clamp_mss = false;
    } else if (!argument.starts_with("-")) {
      status = SetCommand(argument, &given, &line);
    } else {
      const size_t equals = argument.find('=');
      std::string name = argument == "-o" ? "output" : argument.substr(0, equals);
      if (name.starts_with("--")) name = name.substr(2);
      if (!TakesValue(name)) return Unknown(argument);
      if (equals == std::string::npos && i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(Cat(argument, " needs a value; see sluice-backend --help"));
      }
      status = SetWithValue(name, equals == std::string::npos ? arguments[++i] : argument.substr(equals + 1), &line);
    }
    if (!status.ok()) return status;
  }
  if (!given) return absl::InvalidArgumentError("no command; there are run, attach, detach, status and check");
  return line;
}

absl::StatusOr<Options> ReadOptions(const CommandLine& command_line) {
  Options options;
  if (!command_line.config.empty()) {
    if (const absl::Status status = ReadOptionsFile(command_line.config, &options); !status.ok()) return status;
  }
  std::set<std::string_view> seen;
  for (const auto& [name, value] : command_line.settings) {
    const bool fresh = seen.insert(name).second;
    if (const absl::Status status = SetOption(name, value, fresh, &options); !status.ok()) return status;
  }
  if (!command_line.clamp_mss) options.clamp_mss = false;
  return options;
}

}  // namespace sluice::backend
