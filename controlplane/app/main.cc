#include <unistd.h>

#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "config/load.h"
#include "config/validate.h"
#include "controlplane/app/command_line.h"
#include "controlplane/app/file_watch.h"
#include "controlplane/app/preflight.h"
#include "controlplane/app/report.h"
#include "controlplane/app/service_manager.h"
#include "controlplane/app/signals.h"
#include "controlplane/app/sluiced.h"
#include "controlplane/app/version.h"
#include "controlplane/app/watchdog.h"
#include "controlplane/preflight/examine.h"
#include "controlplane/preflight/print.h"
#include "dataplane/base/log.h"

namespace sluice::app {
namespace {

int Check(const std::string& file) {
  const absl::StatusOr<config::Config> config = config::LoadFile(file);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitConfiguration;
  }
  std::cout << Summary(*config) << file << ": valid\n";
  return kExitOk;
}

int Preflight(const std::string& file, Probing probing, bool json) {
  const absl::StatusOr<config::Config> config = config::LoadFile(file);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitConfiguration;
  }
  const preflight::Findings findings = RunPreflight(*config, file, probing);
  std::cout << (json ? preflight::ToJson(findings) : preflight::ToText(findings));
  return preflight::CountOf(findings, preflight::Severity::kError) == 0 ? kExitOk : kExitMachine;
}

// Until it is told to stop.
void Serve(Sluiced& sluiced, const std::string& file, bool watches_file, const ServiceManager& manager) {
  absl::StatusOr<std::unique_ptr<FileWatch>> watch = std::unique_ptr<FileWatch>();
  if (watches_file) {
    // The same way as for an operator's signal, so that reloads come one at a time.
    watch = FileWatch::Start(file, [] { kill(getpid(), SIGHUP); });
    if (!watch.ok()) {
      SLUICE_LOG(kWarning) << "configuration: " << std::string(watch.status().message())
                           << "; changes of the file are taken up on SIGHUP only";
    }
  }
  const Watchdog watchdog(manager, [&sluiced] { return sluiced.Progress(); });
  manager.Ready("forwarding");
  while (WaitForSignal() == Signal::kReload) {
    manager.Reloading();
    sluiced.Reload(file);
    manager.Ready("forwarding");
  }
  manager.Stopping();
}

int Run(const std::string& file) {
  BlockSignals();
  SLUICE_LOG(kInfo) << "sluiced " << Version() << ", configuration " << file;
  const absl::StatusOr<config::Config> config = config::LoadFile(file);
  if (!config.ok()) {
    LogProblems("configuration", config.status());
    return kExitConfiguration;
  }
  for (const config::Problem& advice : config::AdviseServices(config->services)) {
    SLUICE_LOG(kWarning) << "configuration: " << advice.field << ": " << advice.message;
  }
  SLUICE_LOG(kInfo) << "node " << config->node.name;
  const preflight::Findings findings = RunPreflight(*config, file, Probing::kLookOnly);
  LogFindings(findings);
  if (preflight::CountOf(findings, preflight::Severity::kError) != 0) {
    SLUICE_LOG(kError) << "start: this machine cannot run the configuration; mend the errors of the preflight first";
    return kExitMachine;
  }
  const ServiceManager manager = ServiceManager::FromEnvironment();
  manager.Status("bringing up devices and tables");
  auto sluiced = Sluiced::Start(*config);
  if (!sluiced.ok()) {
    LogProblems("start", sluiced.status());
    return kExitFailure;
  }
  SLUICE_LOG(kInfo) << "ready";
  Serve(**sluiced, file, config->node.management == config::Management::kFile, manager);
  SLUICE_LOG(kInfo) << "stopping";
  UnblockStopSignals();
  (*sluiced)->Stop();
  sluiced->reset();
  SLUICE_LOG(kInfo) << "stopped";
  return kExitOk;
}

int Main(int argc, char** argv) {
  const absl::StatusOr<CommandLine> command = ParseCommandLine(argc, argv);
  if (!command.ok()) {
    std::cerr << "sluiced: " << command.status().message() << "\n";
    return kExitUsage;
  }
  SetLogLevel(command->log_level);
  switch (command->action) {
    case CommandLine::Action::kHelp:
      std::cout << HelpText();
      return kExitOk;
    case CommandLine::Action::kVersion:
      std::cout << "sluiced " << Version() << "\n";
      return kExitOk;
    case CommandLine::Action::kCheck:
      return Check(command->config_file);
    case CommandLine::Action::kPreflight:
      return Preflight(command->config_file, command->probe ? Probing::kOpenDevices : Probing::kLookOnly,
                       command->json);
    case CommandLine::Action::kRun:
      break;
  }
  return Run(command->config_file);
}

}  // namespace
}  // namespace sluice::app

int main(int argc, char** argv) { return sluice::app::Main(argc, argv); }
