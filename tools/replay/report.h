#ifndef SLUICE_TOOLS_REPLAY_REPORT_H_
#define SLUICE_TOOLS_REPLAY_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tools/replay/engine.h"
#include "tools/replay/scenario.h"

namespace sluice::replay {

// An expectation and what the counter was; nothing when there was no such VIP or backend.
struct Check {
  const Expectation* expectation = nullptr;
  std::optional<uint64_t> actual;

  bool holds() const { return actual && expectation->HoldsFor(*actual); }
};

// Something that is not as the scenario says.
struct Failure {
  int line = 0;  // of the scenario
  std::string text;
};

// What a step came to.
struct StepResult {
  std::vector<std::string> changes;  // of the desired state, as sluicectl shows them
  std::string refusal;               // why a change was refused; empty when it was not
  std::vector<Check> checks;
  std::vector<Failure> failures;
};

// Tells a reader what became of each packet and of all. Call Begin, then Packet for each in order, then End; in a
// scenario BeginStep and EndStep around each step.
class Report {
 public:
  virtual ~Report() = default;
  virtual void Begin() = 0;
  // `number` counts steps from 1. `step` lives until EndStep.
  virtual void BeginStep(size_t number, const Step& step) = 0;
  // `number` counts the packets of a capture from 1, as capture tools do.
  virtual void Packet(uint64_t number, const Frame& frame, const PacketResult& result) = 0;
  virtual void EndStep(const StepResult& result) = 0;
  virtual void End() = 0;
};

enum class ReportKind : uint8_t { kCapture, kScenario };

// A line for each packet (unless `totals_only`) and a summary, for people. `engine` and `out` outlive the report.
std::unique_ptr<Report> MakeTextReport(Engine& engine, std::ostream& out, bool totals_only);
// One JSON object: packets (unless `totals_only`) or steps, totals, balanced, rungs, vips, backends, tables.
std::unique_ptr<Report> MakeJsonReport(Engine& engine, std::ostream& out, bool totals_only, ReportKind kind);

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_REPORT_H_
