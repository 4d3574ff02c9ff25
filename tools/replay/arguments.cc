#include "tools/replay/arguments.h"

#include <getopt.h>

#include <iostream>

#include "absl/strings/str_cat.h"

namespace sluice::replay {
namespace {

constexpr const char* kUsage = R"(sluice-replay: what would sluiced do with these packets?

  sluice-replay --config FILE --in CAPTURE [--out PCAP] [--host PCAP] [options]
  sluice-replay --config FILE --scenario STEPS [--out PCAP] [--host PCAP] [options]

Feeds a capture (pcap or pcapng, Ethernet; "-" is standard input) through sluiced's packet path, without root,
hugepages or devices. The capture's time stamps are the clock. Prints what became of each packet and of all.

A scenario is a YAML file of steps that are taken in order on one running state; file names in it start from its folder.

  --config FILE      configuration of sluiced
  --in CAPTURE       packets that arrive
  --scenario STEPS   steps to take
  --out PCAP         packets that leave, in the order in which they came
  --host PCAP        packets that the host's kernel gets
  --port NAME        port on which the packets arrive; default: the first
  --mac ADDRESS      the port's own MAC address; default: the one to which the capture's first packet for a VIP is sent
  --neighbours FILE  YAML, "address: MAC" or "address: unresolved" for backends, gateways and clients on link;
                     those not listed have 02:00 and the last four bytes of their address
  --json             one JSON object instead of lines for people
  --totals           no line for each packet

Steps of a scenario:

  steps:
    - replay: {capture: clients.pcap}          # also port; out and host: files for this step's packets alone
    - backend: {name: web/web-1, change: drain}
    - advance: 60                              # seconds; connections whose time is over end
    - apply: {file: new.yaml}                  # its services, as a reload of sluiced would
    - expect:                                  # counters since the start, by their names in the output of --json
        totals: {forwarded: 12, dropped: {vip_no_service: 1}}
        rungs: {connection_table: 8, rescheduled: 0}
        vips: {www: {new_flows: at least 3}}
        backends: {web/web-1: {packets: 4, flows_alive: 0}}
        table_v4: {entries: at most 9}

  A backend's change is add (with address and, if not 100, weight), drain, undrain, weight (with weight), remove, down or up.
  "refused: TEXT" in an apply or backend step: the change must be refused, with TEXT in the message.

Exit status: 0, also when packets were dropped; 1 for errors of files or of sluice-replay itself; 2 for wrong usage; 3
when a scenario ran to its end and something was not as it says.
)";

int UsageError(const std::string& message) {
  std::cerr << "sluice-replay: " << message << "; see sluice-replay --help\n";
  return 2;
}

}  // namespace

std::optional<int> ParseArguments(int argc, char** argv, Arguments* arguments) {
  enum Option { kConfig = 256, kIn, kScenario, kOut, kHost, kPort, kMac, kNeighbours, kJson, kTotals, kHelp };
  static constexpr option kOptions[] = {{"config", required_argument, nullptr, kConfig},
                                        {"in", required_argument, nullptr, kIn},
                                        {"scenario", required_argument, nullptr, kScenario},
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
      case kScenario:
        arguments->scenario = optarg;
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
  if (arguments->in.empty() && arguments->scenario.empty()) return UsageError("--in is missing, or --scenario");
  if (!arguments->in.empty() && !arguments->scenario.empty()) {
    return UsageError("--in and --scenario exclude each other; a scenario names its captures itself");
  }
  return std::nullopt;
}

}  // namespace sluice::replay
