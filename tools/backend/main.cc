#include <csignal>
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

#include "dataplane/base/log.h"
#include "tools/backend/agent.h"
#include "tools/backend/bpf_failure.h"
#include "tools/backend/check.h"
#include "tools/backend/command_line.h"
#include "tools/backend/status.h"

namespace sluice::backend {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;
// How soon changed addresses are followed.
constexpr timespec kRefreshInterval = {.tv_sec = 2, .tv_nsec = 0};

int Fail(const absl::Status& status, int code = kExitFailure) {
  std::cerr << "sluice-backend: " << status.message() << "\n";
  return code;
}

// Options that can be attached with.
absl::StatusOr<Options> ReadValidOptions(const CommandLine& line) {
  absl::StatusOr<Options> options = ReadOptions(line);
  if (!options.ok()) return options;
  if (const absl::Status status = ValidateOptions(*options); !status.ok()) return status;
  return options;
}

// Says what is wrong once, not every two seconds.
class Complaint {
 public:
  void Report(const absl::Status& status) {
    if (status.ok()) {
      last_.clear();
    } else if (const std::string text(status.message()); text != last_) {
      SLUICE_LOG(kError) << text;
      last_ = text;
    }
  }

 private:
  std::string last_;
};

int Run(const CommandLine& line) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  absl::StatusOr<Options> options = ReadValidOptions(line);
  if (!options.ok()) return Fail(options.status(), kExitUsage);
  absl::StatusOr<Agent> agent = Agent::Start(*options);
  if (!agent.ok()) return Fail(agent.status());
  for (const Interface& interface : agent->resolved().interfaces) {
    SLUICE_LOG(kInfo) << "attached to " << interface.name;
  }
  SLUICE_LOG(kInfo) << "ready";
  Complaint complaint;
  while (true) {
    const int received = sigtimedwait(&signals, nullptr, &kRefreshInterval);
    if (received == SIGTERM || received == SIGINT) break;
    bool changed = false;
    if (received == SIGHUP) {
      absl::StatusOr<Options> fresh = ReadValidOptions(line);
      if (!fresh.ok()) {
        SLUICE_LOG(kError) << "the configuration stays as it was: " << std::string(fresh.status().message());
        continue;
      }
      options = std::move(fresh);
      changed = true;
      SLUICE_LOG(kInfo) << "the configuration was read again";
    }
    complaint.Report(agent->Refresh(*options, changed));
  }
  agent->Detach();
  SLUICE_LOG(kInfo) << "detached";
  return kExitOk;
}

int AttachOnce(const CommandLine& line) {
  const absl::StatusOr<Options> options = ReadValidOptions(line);
  if (!options.ok()) return Fail(options.status(), kExitUsage);
  const absl::StatusOr<Agent> agent = Agent::Start(*options);
  return agent.ok() ? kExitOk : Fail(agent.status());
}

int DetachOnce(const CommandLine& line) {
  const absl::StatusOr<Options> options = ReadOptions(line);
  if (!options.ok()) return Fail(options.status(), kExitUsage);
  const auto interfaces = options->interfaces.empty() ? AttachedInterfaces() : options->interfaces;
  const absl::Status status = DetachFrom(interfaces);
  return status.ok() ? kExitOk : Fail(status);
}

int ShowStatus(const CommandLine& line) {
  const absl::StatusOr<std::vector<Status>> groups = ReadStatus();
  if (!groups.ok()) return Fail(groups.status());
  if (line.json) {
    PrintJson(*groups, std::cout);
  } else if (groups->empty()) {
    std::cout << "not attached to any interface of this network namespace\n";
  } else {
    PrintText(*groups, std::cout);
  }
  return kExitOk;
}

int ShowFindings(const CommandLine& line) {
  std::vector<Finding> findings = CheckKernel();
  if (!line.config.empty() || !line.settings.empty()) {
    const absl::StatusOr<Options> options = ReadOptions(line);
    if (!options.ok()) return Fail(options.status(), kExitUsage);
    const std::vector<Finding> host = CheckHost(*options);
    findings.insert(findings.end(), host.begin(), host.end());
  }
  const bool good = line.json ? PrintJson(findings, std::cout) : PrintText(findings, std::cout);
  return good ? kExitOk : kExitFailure;
}

int Main(const std::vector<std::string>& arguments) {
  const absl::StatusOr<CommandLine> line = ParseCommandLine(arguments);
  if (!line.ok()) return Fail(line.status(), kExitUsage);
  CaptureBpfMessages();
  switch (line->command) {
    case Command::kHelp:
      std::cout << kUsage;
      return kExitOk;
    case Command::kVersion:
      std::cout << "sluice-backend " << SLUICE_VERSION << "\n";
      return kExitOk;
    case Command::kRun:
      return Run(*line);
    case Command::kAttach:
      return AttachOnce(*line);
    case Command::kDetach:
      return DetachOnce(*line);
    case Command::kStatus:
      return ShowStatus(*line);
    case Command::kCheck:
      break;
  }
  return ShowFindings(*line);
}

}  // namespace
}  // namespace sluice::backend

int main(int argc, char** argv) { return sluice::backend::Main(std::vector<std::string>(argv + 1, argv + argc)); }
