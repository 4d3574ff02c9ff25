#include <getopt.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "config/load.h"
#include "tools/replay/engine.h"
#include "tools/replay/own_mac.h"
#include "tools/replay/pcap_file.h"
#include "tools/replay/report.h"

namespace sluice::replay {
namespace {

constexpr const char* kUsage = R"(sluice-replay: what would sluiced do with these packets?

  sluice-replay --config FILE --in CAPTURE [--out PCAP] [--host PCAP] [options]

Feeds a capture (pcap or pcapng, Ethernet; "-" is standard input) through sluiced's packet path, without root,
hugepages or devices. The capture's time stamps are the clock. Prints what became of each packet and of all.

  --config FILE      configuration of sluiced
  --in CAPTURE       packets that arrive
  --out PCAP         packets that leave, in the order in which they came
  --host PCAP        packets that the host's kernel gets
  --port NAME        port on which the packets arrive; default: the first
  --mac ADDRESS      the port's own MAC address; default: the one to which the capture's first packet for a VIP is sent
  --neighbours FILE  YAML, "address: MAC" or "address: unresolved" for backends and gateways; those not listed have
                     02:00 and the last four bytes of their address
  --json             one JSON object instead of lines for people
  --totals           no line for each packet

Exit status: 0, also when packets were dropped; 1 for errors of files or of sluice-replay itself; 2 for wrong usage.
)";

struct Arguments {
  std::string config, in, out, host, port, mac, neighbours;
  bool json = false;
  bool totals_only = false;
};

int UsageError(const std::string& message) {
  std::cerr << "sluice-replay: " << message << "; see sluice-replay --help\n";
  return 2;
}

// The exit status when the program is to end now.
std::optional<int> ParseArguments(int argc, char** argv, Arguments* arguments) {
  enum Option { kConfig = 256, kIn, kOut, kHost, kPort, kMac, kNeighbours, kJson, kTotals, kHelp };
  static constexpr option kOptions[] = {{"config", required_argument, nullptr, kConfig},
                                        {"in", required_argument, nullptr, kIn},
                                        {"out", required_argument, nullptr, kOut},
                                        {"host", required_argument, nullptr, kHost},
                                        {"port", required_argument, nullptr, kPort},
                                        {"mac", required_argument, nullptr, kMac},
                                        {"json", no_argument, nullptr, kJson},
                                        {"neighbours", required_argument, nullptr, kNeighbours},
                                        {"totals", no_argument, nullptr, kTotals},
                                        {"help", no_argument, nullptr, kHelp},
                                        {nullptr, 0, nullptr, 0}};
  int chosen = 0;
  while ((chosen = getopt_long(argc, argv, "", kOptions, nullptr)) != -1) {
    switch (chosen) {
      case kConfig:
        arguments->config = optarg;
        break;
      case kIn:
        arguments->in = optarg;
        break;
      case kOut:
        arguments->out = optarg;
        break;
      case kHost:
        arguments->host = optarg;
        break;
      case kPort:
        arguments->port = optarg;
        break;
      case kMac:
        arguments->mac = optarg;
        break;
      case kNeighbours:
        arguments->neighbours = optarg;
        break;
      case kJson:
        arguments->json = true;
        break;
      case kTotals:
        arguments->totals_only = true;
        break;
      case kHelp:
        std::cout << kUsage;
        return 0;
      default:  // getopt_long said what is wrong
        return 2;
    }
  }
  if (optind < argc) return UsageError(absl::StrCat("\"", argv[optind], "\" is not an option"));
  if (arguments->config.empty()) return UsageError("--config is missing");
  if (arguments->in.empty()) return UsageError("--in is missing");
  return std::nullopt;
}

absl::StatusOr<PortId> FindPort(const config::NodeConfig& node, const std::string& name) {
  if (name.empty()) return PortId(0);
  std::string known;
  for (size_t i = 0; i < node.ports.size(); ++i) {
    if (node.ports[i].name == name) return PortId(static_cast<PortId::rep>(i));
    absl::StrAppend(&known, i > 0 ? ", " : "", node.ports[i].name);
  }
  return absl::NotFoundError(absl::StrCat("--port ", name, ": the configuration has no such port, only: ", known));
}

absl::Status SetOwnMac(const Arguments& arguments, const config::ServiceConfig& services, PortId port,
                       EngineOptions* options) {
  std::optional<net::MacAddress> mac;
  if (!arguments.mac.empty()) {
    mac = net::MacAddress::Parse(arguments.mac);
    if (!mac || mac->IsMulticast()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--mac ", arguments.mac, ": not the MAC address of a station; write it as 02:00:00:00:00:01"));
    }
  } else if (arguments.in == "-") {
    return absl::InvalidArgumentError(
        "--mac is needed when the capture comes from standard input: it cannot be read "
        "twice to find the address");
  } else {
    auto found = FindOwnMac(arguments.in, services);
    if (!found.ok()) return found.status();
    mac = *found;
  }
  if (mac) options->port_macs[port] = *mac;
  return absl::OkStatus();
}

// The two files that are written; either may be absent.
struct Outputs {
  std::optional<PcapWriter> out, host;

  absl::Status Open(const Arguments& arguments) {
    for (const auto& [path, writer] : {std::pair{&arguments.out, &out}, std::pair{&arguments.host, &host}}) {
      if (path->empty()) continue;
      auto created = PcapWriter::Create(*path);
      if (!created.ok()) return created.status();
      *writer = *std::move(created);
    }
    return absl::OkStatus();
  }

  void Write(const Frame& frame, const PacketResult& result) {
    if (result.fate == Fate::kPunted) {
      if (host) host->Write(frame.time_ns, result.bytes);
    } else if (result.fate != Fate::kDropped && out) {
      out->Write(frame.time_ns, result.bytes);
    }
  }

  absl::Status Close() {
    absl::Status status;
    if (out) status.Update(out->Close());
    if (host) status.Update(host->Close());
    return status;
  }
};

absl::Status Replay(Engine& engine, PcapReader& reader, PortId port, Outputs& outputs, Report& report) {
  // Frames are read ahead so that bursts form; the number bounds the memory.
  constexpr size_t kReadAhead = 256;
  uint64_t number = 0;
  bool more = true;
  while (more) {
    std::vector<Frame> frames;
    absl::Status broken;
    while (more && frames.size() < kReadAhead) {
      Frame frame;
      const auto got = reader.Next(&frame);
      if (!got.ok()) broken = got.status();
      more = got.ok() && *got;
      if (more) frames.push_back(std::move(frame));
    }
    const std::vector<PacketResult> results = engine.Process(frames, port);
    for (size_t i = 0; i < frames.size(); ++i) {
      outputs.Write(frames[i], results[i]);
      report.Packet(++number, frames[i], results[i]);
    }
    if (!broken.ok()) return broken;
  }
  return absl::OkStatus();
}

absl::Status Run(const Arguments& arguments) {
  const auto config = config::LoadFile(arguments.config);
  if (!config.ok()) return config.status();
  const auto port = FindPort(config->node, arguments.port);
  if (!port.ok()) return port.status();

  EngineOptions options;
  if (!arguments.neighbours.empty()) {
    auto neighbours = LoadNeighbours(arguments.neighbours);
    if (!neighbours.ok()) return neighbours.status();
    options.neighbours = *std::move(neighbours);
  }
  if (absl::Status status = SetOwnMac(arguments, config->services, *port, &options); !status.ok()) return status;

  auto reader = PcapReader::Open(arguments.in);
  if (!reader.ok()) return reader.status();
  const auto engine = Engine::Create(config->node, options);
  if (!engine.ok()) return engine.status();
  if (const auto applied = (*engine)->reconciler().Apply(config->services); !applied.ok()) return applied.status();
  Outputs outputs;
  if (absl::Status status = outputs.Open(arguments); !status.ok()) return status;

  const auto report = arguments.json ? MakeJsonReport(**engine, std::cout, arguments.totals_only)
                                     : MakeTextReport(**engine, std::cout, arguments.totals_only);
  report->Begin();
  absl::Status status = Replay(**engine, *reader, *port, outputs, *report);
  report->End();
  status.Update(outputs.Close());
  const fwd::PacketTotals totals = (*engine)->dataplane().Totals();
  if (totals.entered() != totals.left() || (*engine)->BuffersInUse() != 0) {
    status.Update(absl::InternalError(absl::StrCat("the packet path lost count: ", totals.entered(), " packets in, ",
                                                   totals.left(), " accounted for, ", (*engine)->BuffersInUse(),
                                                   " buffers not returned; please report this with the capture")));
  }
  if (!std::cout.flush()) status.Update(absl::DataLossError("writing the report to standard output failed"));
  return status;
}

}  // namespace
}  // namespace sluice::replay

int main(int argc, char** argv) {
  sluice::replay::Arguments arguments;
  if (const auto status = sluice::replay::ParseArguments(argc, argv, &arguments)) return *status;
  const absl::Status status = sluice::replay::Run(arguments);
  if (status.ok()) return 0;
  std::cerr << "sluice-replay: " << std::string(status.message()) << '\n';
  return 1;
}
