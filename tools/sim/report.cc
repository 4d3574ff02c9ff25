#include "tools/sim/report.h"

#include <string>

#include "absl/strings/str_format.h"
#include "tools/replay/json_writer.h"

namespace sluice::sim {
namespace {

double Percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

// A row of the table: one definition of one router.
void PrintRow(const Result& result, const Outcome& outcome, const char* definition, const Broken& broken,
              std::ostream& out) {
  const uint64_t with = result.connections - result.without_timestamps;
  const auto& causes = broken.by_cause;
  out << absl::StreamFormat("%-25s %-6s %10d %8.4f %10d %10d %8.4f %8.4f %8.2f %9d %7.1f\n", outcome.router, definition,
                            broken.sum(), Percent(broken.sum(), result.connections), causes[0][0] + causes[1][0],
                            causes[0][1] + causes[1][1], Percent(causes[1][0] + causes[1][1], with),
                            Percent(causes[0][0] + causes[0][1], result.without_timestamps),
                            Percent(outcome.tracked, result.connections), outcome.table_full, 100 * outcome.imbalance);
}

std::string BrokenJson(const Broken& broken) {
  const auto& causes = broken.by_cause;
  return absl::StrFormat(
      "{\"sum\": %d, \"with_timestamps\": {\"servers\": %d, \"directors\": %d}, "
      "\"without_timestamps\": {\"servers\": %d, \"directors\": %d}}",
      broken.sum(), causes[1][0], causes[1][1], causes[0][0], causes[0][1]);
}

}  // namespace

void PrintTable(const WorkloadOptions& options, const Result& result, std::ostream& out) {
  out << absl::StreamFormat(
      "%g s, seed %d: %d connections (%.1f %% without timestamps), %d changes of servers (%.1f of %d up on average), "
      "%d changes of %d directors\n\n",
      options.seconds, options.seed, result.connections, Percent(result.without_timestamps, result.connections),
      result.server_changes, result.servers_up, options.servers, result.director_changes, options.directors);
  out << absl::StreamFormat("%-25s %-6s %10s %8s %10s %10s %8s %8s %8s %9s %7s\n", "", "while", "broken", "%",
                            "servers", "directors", "ts %", "no ts %", "ent/100", "no room", "max %");
  for (const Outcome& outcome : result.outcomes) {
    if ((outcome.definitions & kUp) != 0) PrintRow(result, outcome, "up", outcome.up, out);
    if ((outcome.definitions & kDrain) != 0) PrintRow(result, outcome, "drain", outcome.drain, out);
  }
  out << "\nwhile: a connection is broken when it changes its server while that is up, or also while it is down and "
         "drains\nservers, directors: after whose change; ts, no ts: share of connections with and without timestamps\n"
         "ent/100: entries made in directors' tables for each 100 connections; over 100 where several directors make "
         "one "
         "for a connection\nno room: flows that found none\n"
         "max: the busiest server's connections over the average, less 100 %\n";
}

void PrintJson(const WorkloadOptions& options, const Result& result, std::ostream& out) {
  {
    replay::ObjectWriter object(out);
    object.Number("seed", options.seed);
    object.Key("seconds") << options.seconds;
    object.Number("servers", options.servers);
    object.Key("updates_per_min") << options.updates_per_min;
    object.Number("directors", options.directors);
    object.Key("director_updates_per_min") << options.director_updates_per_min;
    object.Number("connections", result.connections);
    object.Number("without_timestamps", result.without_timestamps);
    object.Number("server_changes", result.server_changes);
    object.Number("director_changes", result.director_changes);
    object.Key("servers_up") << absl::StrFormat("%.3f", result.servers_up);
    replay::WriteArray(object.Key("outcomes"), result.outcomes, [&out](const Outcome& outcome) {
      replay::ObjectWriter one(out);
      one.Text("mode", outcome.router);
      if ((outcome.definitions & kUp) != 0) one.Key("broken_up") << BrokenJson(outcome.up);
      if ((outcome.definitions & kDrain) != 0) one.Key("broken_up_or_draining") << BrokenJson(outcome.drain);
      one.Number("packets", outcome.packets);
      one.Number("entries", outcome.tracked);
      one.Number("table_full", outcome.table_full);
      one.Key("imbalance") << absl::StrFormat("%.4f", outcome.imbalance);
    });
  }
  out << '\n';
}

}  // namespace sluice::sim
