#include "controlplane/app/command_line.h"

#include <getopt.h>

#include <array>
#include <optional>

#include "controlplane/model/text.h"

namespace sluice::app {
namespace {

using model::Cat;

std::optional<LogLevel> ParseLogLevel(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warning") return LogLevel::kWarning;
  if (text == "error") return LogLevel::kError;
  return std::nullopt;
}

constexpr std::string_view kPreflight = "preflight";

absl::Status Usage(std::string_view what) {
  return absl::InvalidArgumentError(Cat(what, "; `sluiced --help` explains the options"));
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(int argc, char* const* argv) {
  static constexpr std::array<option, 8> kOptions = {{{"config", required_argument, nullptr, 'c'},
                                                      {"check", no_argument, nullptr, 'C'},
                                                      {"json", no_argument, nullptr, 'j'},
                                                      {"probe", no_argument, nullptr, 'p'},
                                                      {"log-level", required_argument, nullptr, 'l'},
                                                      {"help", no_argument, nullptr, 'h'},
                                                      {"version", no_argument, nullptr, 'V'},
                                                      {nullptr, 0, nullptr, 0}}};
  CommandLine result;
  opterr = 0;
  optind = 0;  // getopt keeps state between calls; 0 starts anew
  int code = 0;
  while ((code = getopt_long(argc, argv, ":c:h", kOptions.data(), nullptr)) != -1) {
    switch (code) {
      case 'c':
        result.config_file = optarg;
        break;
      case 'C':
        result.action = CommandLine::Action::kCheck;
        break;
      case 'l':
        if (const std::optional<LogLevel> level = ParseLogLevel(optarg)) {
          result.log_level = *level;
        } else {
          return Usage(Cat("--log-level: \"", std::string(optarg), "\" is not one of debug, info, warning, error"));
        }
        break;
      case 'j':
        result.json = true;
        break;
      case 'p':
        result.probe = true;
        break;
      case 'h':
        result.action = CommandLine::Action::kHelp;
        return result;
      case 'V':
        result.action = CommandLine::Action::kVersion;
        return result;
      case ':':
        return Usage(Cat(std::string(argv[optind - 1]), " needs a value"));
      default:
        return Usage(Cat("unknown option ", std::string(argv[optind - 1])));
    }
  }
  if (optind < argc && argv[optind] == kPreflight && result.action == CommandLine::Action::kRun) {
    result.action = CommandLine::Action::kPreflight;
    ++optind;
  }
  if (optind < argc) return Usage(Cat("unexpected argument \"", std::string(argv[optind]), "\""));
  if ((result.json || result.probe) && result.action != CommandLine::Action::kPreflight) {
    return Usage("--json and --probe belong to preflight");
  }
  if (result.config_file.empty()) return Usage("--config FILE is missing");
  return result;
}

std::string_view HelpText() {
  return R"(Usage: sluiced --config FILE [OPTION]...
  or:  sluiced preflight --config FILE [--probe] [--json]

Runs the Sluice load balancer in the foreground. With preflight: looks at the
machine, says what keeps it from running FILE or slows it down and what mends
that, and exits. It touches no device and may be used while sluiced runs; but
with --probe it opens them and asks their drivers.

  -c, --config FILE      configuration (YAML)
      --check            validate FILE, print what it configures, and exit
      --probe            preflight opens the devices (not while sluiced runs)
      --json             preflight's findings as JSON
      --log-level LEVEL  debug, info (default), warning or error
      --version          print the version and exit
  -h, --help             print this and exit

Signals:
  SIGTERM, SIGINT  stop cleanly; a second one ends the process at once
  SIGHUP           read FILE again and apply its services, unless its
                   node.management is api; changes of its node part are named
                   in the log and need a restart. With management: file this
                   also happens when FILE changes

Exit codes:
  0  stopped as asked, or FILE is valid
  1  could not start, or failed while running
  2  wrong command line
  3  FILE is invalid or cannot be read
  4  this machine cannot run FILE, as preflight explains
)";
}

}  // namespace sluice::app
