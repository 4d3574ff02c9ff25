#ifndef SLUICE_TOOLS_REPLAY_REPORT_H_
#define SLUICE_TOOLS_REPLAY_REPORT_H_

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>

#include "tools/replay/engine.h"

namespace sluice::replay {

// Tells a reader what became of each packet and of all. Call Begin, then Packet for each in order, then End.
class Report {
 public:
  virtual ~Report() = default;
  virtual void Begin() = 0;
  // `number` counts from 1, as capture tools do.
  virtual void Packet(uint64_t number, const Frame& frame, const PacketResult& result) = 0;
  virtual void End() = 0;
};

// A line for each packet (unless `totals_only`) and a summary, for people. `engine` and `out` outlive the report.
std::unique_ptr<Report> MakeTextReport(Engine& engine, std::ostream& out, bool totals_only);
// One JSON object: packets (unless `totals_only`), totals, balanced, rungs, vips, backends, table.
std::unique_ptr<Report> MakeJsonReport(Engine& engine, std::ostream& out, bool totals_only);

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_REPORT_H_
