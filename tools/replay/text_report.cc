#include <algorithm>
#include <iomanip>
#include <string_view>

#include "tools/replay/counters.h"
#include "tools/replay/names.h"
#include "tools/replay/report.h"
#include "tools/replay/report_terms.h"

namespace sluice::replay {
namespace {

class TextReport final : public Report {
 public:
  TextReport(Engine& engine, std::ostream& out, bool totals_only)
      : engine_(engine), out_(out), totals_only_(totals_only) {}

  void Begin() override { names_.Refresh(engine_); }

  void BeginStep(size_t number, const Step& step) override {
    names_.Refresh(engine_);
    out_ << "step " << number << " (line " << step.line << "): " << Describe(step) << '\n';
  }

  void Packet(uint64_t number, const Frame& frame, const PacketResult& result) override {
    if (frame.was_cut) ++cut_;
    if (totals_only_) return;
    out_ << std::setw(7) << number << "  " << std::left << std::setw(10) << FateName(result.fate) << std::right;
    if (result.fate == Fate::kDropped) out_ << " reason=" << DropReasonLabel(result.reason);
    if (result.fate == Fate::kPunted) out_ << " class=" << PuntClassName(result.punt_class);
    if (result.vip.valid()) out_ << " vip=" << names_.Of(result.vip);
    if (result.backend.valid()) out_ << " backend=" << names_.Of(result.backend);
    if (result.rung != fwd::Rung::kNone) out_ << " rung=" << RungName(result.rung);
    if (!result.extra.empty()) out_ << " extra=" << result.extra.size();
    out_ << '\n';
  }

  void EndStep(const StepResult& result) override {
    for (const std::string& line : result.changes) out_ << "  " << line << '\n';
    if (!result.refusal.empty()) out_ << "  refused: " << result.refusal << '\n';
    for (const Failure& f : result.failures) out_ << "  FAILED line " << f.line << ": " << f.text << '\n';
    if (result.checks.empty()) return;
    const auto hold =
        std::count_if(result.checks.begin(), result.checks.end(), [](const Check& c) { return c.holds(); });
    out_ << "  " << hold << " of " << result.checks.size() << " are as expected\n";
  }

  void End() override {
    const CounterSnapshot counters = ReadCounters(engine_);
    for (const auto& [name, value] : counters.totals) Line(name, value);
    Line("dropped", counters.dropped_total);
    for (size_t i = 0; i < kDropReasonCount; ++i) {
      const auto& [label, value] = counters.dropped[i];
      if (value == 0) continue;
      out_ << "  " << std::left << std::setw(20) << label << std::right << std::setw(12) << value << "  "
           << DropReasonHelp(static_cast<DropReason>(i)) << '\n';
    }
    for (const auto& [name, values] : counters.vips) {
      out_ << "vip " << name << ": " << ValueOf(values, "packets") << " packets, " << ValueOf(values, "new_flows")
           << " new flows, " << ValueOf(values, "dropped") << " dropped\n";
    }
    for (const auto& [name, values] : counters.backends) {
      out_ << "backend " << name << ": " << ValueOf(values, "packets") << " packets, "
           << ValueOf(values, "flows_started") << " flows\n";
    }
    if (cut_ != 0) {
      out_ << cut_ << " packets were cut by the capture's snap length; the missing bytes were taken as zero\n";
    }
    out_ << (counters.balanced() ? "every packet has one fate: " : "PACKETS ARE MISSING: ") << counters.entered
         << " came in, " << counters.left << " are accounted for\n";
  }

 private:
  static uint64_t ValueOf(const Counters& counters, std::string_view name) {
    return std::find_if(counters.begin(), counters.end(), [&](const auto& c) { return c.first == name; })->second;
  }

  void Line(std::string_view name, uint64_t value) {
    out_ << std::left << std::setw(22) << name << std::right << std::setw(12) << value << '\n';
  }

  Engine& engine_;
  std::ostream& out_;
  const bool totals_only_;
  NameTable names_;
  uint64_t cut_ = 0;
};

}  // namespace

std::unique_ptr<Report> MakeTextReport(Engine& engine, std::ostream& out, bool totals_only) {
  return std::make_unique<TextReport>(engine, out, totals_only);
}

}  // namespace sluice::replay
