#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "config/load.h"
#include "tools/replay/arguments.h"
#include "tools/replay/engine.h"
#include "tools/replay/own_mac.h"
#include "tools/replay/pcap_file.h"
#include "tools/replay/replay_capture.h"
#include "tools/replay/report.h"
#include "tools/replay/scenario.h"
#include "tools/replay/scenario_run.h"

namespace sluice::replay {
namespace {

constexpr int kNotAsExpected = 3;

// `what` asks for the port: "--port" or "port".
absl::StatusOr<PortId> FindPort(const config::NodeConfig& node, const std::string& name, const std::string& what) {
  if (name.empty()) return PortId(0);
  std::string known;
  for (size_t i = 0; i < node.ports.size(); ++i) {
    if (node.ports[i].name == name) return PortId(static_cast<PortId::rep>(i));
    absl::StrAppend(&known, i > 0 ? ", " : "", node.ports[i].name);
  }
  return absl::NotFoundError(absl::StrCat(what, " ", name, ": the configuration has no such port, only: ", known));
}

absl::Status FindMacIn(const std::string& capture, const config::ServiceConfig& services, PortId port,
                       EngineOptions* options) {
  if (options->port_macs.contains(port)) return absl::OkStatus();
  const auto found = FindOwnMac(capture, services);
  if (!found.ok()) return found.status();
  if (*found) options->port_macs[port] = **found;
  return absl::OkStatus();
}

// All that is read before the first packet.
struct Inputs {
  config::Config config;
  PortId port;  // of --port
  EngineOptions options;
  // One of both.
  std::optional<PcapReader> capture;
  Scenario scenario;

  absl::Status Load(const Arguments& arguments);
  // The port of a step.
  absl::StatusOr<PortId> PortOf(const std::string& name) const {
    if (name.empty()) return port;
    return FindPort(config.node, name, "port");
  }

 private:
  absl::Status SetOwnMacs(const Arguments& arguments);
};

absl::Status Inputs::Load(const Arguments& arguments) {
  auto loaded = config::LoadFile(arguments.config);
  if (!loaded.ok()) return loaded.status();
  config = *std::move(loaded);
  const auto found = FindPort(config.node, arguments.port, "--port");
  if (!found.ok()) return found.status();
  port = *found;
  if (!arguments.scenario.empty()) {
    auto steps = LoadScenario(arguments.scenario);
    if (!steps.ok()) return steps.status();
    scenario = *std::move(steps);
  }
  if (!arguments.neighbours.empty()) {
    auto neighbours = LoadNeighbours(arguments.neighbours);
    if (!neighbours.ok()) return neighbours.status();
    options.neighbours = *std::move(neighbours);
  }
  if (absl::Status status = SetOwnMacs(arguments); !status.ok() || arguments.in.empty()) return status;
  auto reader = PcapReader::Open(arguments.in);
  if (!reader.ok()) return reader.status();
  capture = *std::move(reader);
  return absl::OkStatus();
}

absl::Status Inputs::SetOwnMacs(const Arguments& arguments) {
  if (!arguments.mac.empty()) {
    const auto mac = net::MacAddress::Parse(arguments.mac);
    if (!mac || mac->IsMulticast()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--mac ", arguments.mac, ": not the MAC address of a station; write it as 02:00:00:00:00:01"));
    }
    options.port_macs[port] = *mac;
  } else if (arguments.in == "-") {
    return absl::InvalidArgumentError(
        "--mac is needed when the capture comes from standard input: it cannot be read twice to find the address");
  }
  if (!arguments.in.empty() && arguments.in != "-") return FindMacIn(arguments.in, config.services, port, &options);
  // Steps with a wrong port or capture are found here, before anything ran.
  for (const Step& step : scenario.steps) {
    const auto* const replay = std::get_if<ReplayStep>(&step.action);
    if (replay == nullptr) continue;
    const auto step_port = PortOf(replay->port);
    absl::Status status = step_port.status();
    if (status.ok()) status = PcapReader::Open(replay->capture).status();
    if (status.ok()) status = FindMacIn(replay->capture, config.services, *step_port, &options);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat(scenario.file, ":", step.line, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Verdict> RunCapture(PcapReader& capture, Engine& engine, PortId port, Outputs& outputs, Report& report) {
  const absl::Status status = ReplayCapture(engine, capture, port, {.out = &outputs, .host = &outputs}, report);
  if (!status.ok()) return status;
  return Verdict{};
}

// What the packet path must keep whatever the packets were.
absl::Status CheckBooks(const Engine& engine) {
  const fwd::PacketTotals totals = engine.dataplane().Totals();
  // A packet that is held has one buffer or more.
  const bool all_back = totals.held == 0 ? engine.BuffersInUse() == 0 : engine.BuffersInUse() >= totals.held;
  if (totals.entered() == totals.left() && all_back) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the packet path lost count: ", totals.entered(), " packets in, ",
                                          totals.left(), " accounted for, ", engine.BuffersInUse(),
                                          " buffers not returned; please report this with the capture"));
}

absl::StatusOr<Verdict> Run(const Arguments& arguments) {
  Inputs inputs;
  if (absl::Status status = inputs.Load(arguments); !status.ok()) return status;
  const auto engine = Engine::Create(inputs.config.node, inputs.options);
  if (!engine.ok()) return engine.status();
  const auto applied = (*engine)->reconciler().Apply(inputs.config.services);
  if (!applied.ok()) return applied.status();
  Outputs outputs;
  if (absl::Status status = outputs.Open(arguments.out, arguments.host); !status.ok()) return status;

  const bool is_scenario = !inputs.capture.has_value();
  const auto kind = is_scenario ? ReportKind::kScenario : ReportKind::kCapture;
  const auto report = arguments.json ? MakeJsonReport(**engine, std::cout, arguments.totals_only, kind)
                                     : MakeTextReport(**engine, std::cout, arguments.totals_only);
  report->Begin();
  const PortByName port_of = [&](const std::string& name) { return inputs.PortOf(name); };
  auto verdict = is_scenario ? RunScenario(inputs.scenario, **engine, port_of, outputs, *report)
                             : RunCapture(*inputs.capture, **engine, inputs.port, outputs, *report);
  report->End();
  absl::Status status = verdict.status();
  status.Update(outputs.Close());
  status.Update(CheckBooks(**engine));
  if (!std::cout.flush()) status.Update(absl::DataLossError("writing the report to standard output failed"));
  if (!status.ok()) return status;
  return verdict;
}

}  // namespace
}  // namespace sluice::replay

int main(int argc, char** argv) {
  sluice::replay::Arguments arguments;
  if (const auto status = sluice::replay::ParseArguments(argc, argv, &arguments)) return *status;
  const absl::StatusOr<sluice::replay::Verdict> verdict = sluice::replay::Run(arguments);
  if (!verdict.ok()) {
    std::cerr << "sluice-replay: " << std::string(verdict.status().message()) << '\n';
    return 1;
  }
  if (verdict->failures == 0) return 0;
  std::cerr << "sluice-replay: " << verdict->first << '\n';
  if (verdict->failures > 1) std::cerr << "sluice-replay: and " << verdict->failures - 1 << " more failures\n";
  return sluice::replay::kNotAsExpected;
}
