#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "config/text.h"
#include "tools/sluicectl/arguments.h"
#include "tools/sluicectl/client.h"
#include "tools/sluicectl/command.h"
#include "tools/sluicectl/complete.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/terminal.h"

namespace sluice::ctl {
namespace {

std::string DefaultServer() {
  const char* from_environment = std::getenv("SLUICE_SERVER");
  return from_environment == nullptr || *from_environment == '\0' ? kDefaultServer : from_environment;
}

// The flag, or else the environment variable.
std::string FlagOr(const ParsedArguments& parsed, std::string_view flag, const char* variable) {
  const char* value = std::getenv(variable);
  return parsed.Get(flag, value == nullptr ? "" : value);
}

TlsFiles TlsOf(const ParsedArguments& parsed) {
  return {.ca = FlagOr(parsed, "tls-ca", "SLUICE_TLS_CA"),
          .certificate = FlagOr(parsed, "tls-cert", "SLUICE_TLS_CERT"),
          .key = FlagOr(parsed, "tls-key", "SLUICE_TLS_KEY"),
          .server_name = FlagOr(parsed, "tls-server-name", "SLUICE_TLS_SERVER_NAME")};
}

absl::Status Help(const std::vector<std::string>& words) {
  if (words.empty()) {
    std::cout << OverviewHelp();
    return absl::OkStatus();
  }
  const absl::StatusOr<Found> found = FindCommand(words);
  if (!found.ok()) return found.status();
  std::cout << CommandHelp(*found->command);
  return absl::OkStatus();
}

// The words that may stand where the last of `arguments` is, one a line; asked for by the shells' completion.
absl::Status RunComplete(const std::vector<std::string>& arguments) {
  for (const std::string& word :
       Complete(arguments, [](const ParsedArguments& parsed, NameKind kind, const std::string& pool) {
         return NamesAt(NormalizeServer(parsed.Get("server", DefaultServer())), TlsOf(parsed), kind, pool);
       })) {
    std::cout << word << "\n";
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments[0] == kCompleteCommand) {
    return RunComplete({arguments.begin() + 1, arguments.end()});
  }
  absl::StatusOr<ParsedArguments> parsed = ParseArguments(arguments, Flags());
  if (!parsed.ok()) return parsed.status();
  if (parsed->Has("version")) {
    std::cout << "sluicectl " << SLUICE_VERSION << "\n";
    return absl::OkStatus();
  }
  std::vector<std::string> words = parsed->words;
  if (parsed->Has("help")) return Help(words);
  if (!words.empty() && words[0] == "help") return Help({words.begin() + 1, words.end()});
  if (words.empty()) return UsageError("a command is missing; `sluicectl --help` lists them");
  const absl::StatusOr<Found> found = FindCommand(words);
  if (!found.ok()) return found.status();
  const std::string output = parsed->Get("output", "table");
  if (output != "table" && output != "wide" && output != "json" && output != "yaml") {
    return UsageError(config::Cat("--output: \"", output, "\" is not one of table, wide, json, yaml"));
  }
  std::vector<std::string> operands(words.begin() + static_cast<std::ptrdiff_t>(found->words), words.end());
  if (absl::Status status = CheckUse(*found->command, *parsed, operands.size()); !status.ok()) return status;
  const std::string server = NormalizeServer(parsed->Get("server", DefaultServer()));
  Invocation invocation{.server = server,
                        .tls = TlsOf(*parsed),
                        .json = output == "json" || output == "yaml",
                        .yaml = output == "yaml",
                        .wide = output == "wide",
                        .arguments = *std::move(parsed),
                        .operands = std::move(operands),
                        .out = std::cout};
  return found->command->run(invocation);
}

}  // namespace
}  // namespace sluice::ctl

int main(int argc, char** argv) {
  // The library's own log lines would stand between ours; errors come as statuses.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  const absl::Status status = sluice::ctl::Run({argv + 1, argv + argc});
  // What differs is the answer, and was printed already.
  if (!status.ok() && sluice::ctl::ExitCodeOf(status) != sluice::ctl::kExitDiffers) {
    const bool colour = sluice::ctl::MayColour(STDERR_FILENO);
    std::cerr << (colour ? "\x1b[31msluicectl:\x1b[0m " : "sluicectl: ") << status.message() << "\n";
  }
  std::cout.flush();
  if (status.ok() && !std::cout) {
    std::cerr << "sluicectl: cannot write to standard output\n";
    return sluice::ctl::kExitRefused;
  }
  return sluice::ctl::ExitCodeOf(status);
}
