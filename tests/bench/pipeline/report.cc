#include "tests/bench/pipeline/report.h"

#include <iomanip>
#include <string>

#include "absl/strings/str_format.h"

namespace sluice::bench {
namespace {

// JSON: numbers, and a word for what is of several.
std::string FamilyText(const Scenario& scenario, net::Family family) {
  if (scenario.load == Load::kMixed) return R"("all")";
  return family == net::Family::kIpv4 ? "4" : "6";
}
std::string ProtocolText(const Scenario& scenario) {
  if (scenario.load == Load::kMixed) return R"("all")";
  return scenario.protocol == net::kProtocolUdp ? R"("udp")" : R"("tcp")";
}
std::string BytesText(const Scenario& scenario) {
  if (scenario.packet_bytes == kImix) return R"("imix")";
  if (scenario.packet_bytes == kShortest) return R"("shortest")";
  return std::to_string(scenario.packet_bytes);
}

}  // namespace

void ReportHead(std::ostream& out) {
  out << absl::StreamFormat("%-88s %7s %7s %7s %7s %8s\n", "cycles per packet", "p10", "median", "p90", "Mpps", "/ref");
}

void ReportLine(const Result& result, std::ostream& out) {
  out << absl::StreamFormat("%-88s %7.1f %7.1f %7.1f %7.2f %8.2f\n", result.scenario.Name(), result.cycles.p10,
                            result.cycles.p50, result.cycles.p90, result.mpps,
                            result.cycles.p50 / result.reference.p50);
  out.flush();
}

void ReportJson(const Result& result, std::ostream& out) {
  const Scenario& s = result.scenario;
  out << absl::StreamFormat(
      R"({"scenario": "%s", "group": "%s", "load": "%s", "mode": "%s", "selection": "%s", "family": %s, "protocol": %s, )"
      R"("flows": %d, "vips": %d, "backends": %d, "packet_bytes": %s, "burst": %d, "changes_per_s": %d, "connections": %d, "one_new_in": %d, "backend_family": %s, )"
      R"("cycles_per_packet_p50": %.2f, "cycles_per_packet_p10": %.2f, "cycles_per_packet_p90": %.2f, "mpps": %.3f, )"
      R"("reference_cycles_p50": %.2f, "clock_cycles": %d, "packets": %d, "changes": %d, )"
      R"("cycles_per_change": %.0f})",
      s.Name(), s.group, std::string(LoadName(s.load)), std::string(config::ModeName(s.mode)),
      std::string(SelectionName(s)), FamilyText(s, s.family), ProtocolText(s), s.flows, s.vips, s.backends,
      BytesText(s), s.burst, s.changes_per_s, s.Connections(), s.OneNewIn(), FamilyText(s, s.BackendFamily(s.family)),
      result.cycles.p50, result.cycles.p10, result.cycles.p90, result.mpps, result.reference.p50, result.clock_cycles,
      result.packets, result.changes, result.cycles_per_change);
  out << "\n";
  out.flush();
}

}  // namespace sluice::bench
