#include <iomanip>
#include <map>
#include <string_view>
#include <utility>

#include "tools/replay/names.h"
#include "tools/replay/report.h"
#include "tools/replay/report_terms.h"

namespace sluice::replay {
namespace {

class TextReport final : public Report {
 public:
  TextReport(Engine& engine, std::ostream& out, bool totals_only)
      : engine_(engine), out_(out), totals_only_(totals_only) {}

  void Begin() override {
    registry_ = engine_.reconciler().Current().registry;
    vips_ = MakeNames(VipNames(*registry_));
    backends_ = MakeNames(BackendNames(*registry_));
  }

  void Packet(uint64_t number, const Frame& frame, const PacketResult& result) override {
    if (frame.was_cut) ++cut_;
    if (totals_only_) return;
    out_ << std::setw(7) << number << "  " << std::left << std::setw(10) << FateName(result.fate) << std::right;
    if (result.fate == Fate::kDropped) out_ << " reason=" << DropReasonLabel(result.reason);
    if (result.fate == Fate::kPunted) out_ << " class=" << PuntClassName(result.punt_class);
    if (result.vip.valid()) out_ << " vip=" << NameOf(vips_, result.vip.value());
    if (result.backend.valid()) out_ << " backend=" << NameOf(backends_, result.backend.value());
    if (result.rung != fwd::Rung::kNone) out_ << " rung=" << RungName(result.rung);
    out_ << '\n';
  }

  void End() override {
    const fwd::PacketTotals totals = engine_.dataplane().Totals();
    for (const auto& [name, value] : Terms(totals)) Line(name, value);
    Line("dropped", totals.dropped_total());
    for (size_t i = 0; i < kDropReasonCount; ++i) {
      const auto reason = static_cast<DropReason>(i);
      if (totals.dropped[i] == 0) continue;
      out_ << "  " << std::left << std::setw(20) << DropReasonLabel(reason) << std::right << std::setw(12)
           << totals.dropped[i] << "  " << DropReasonHelp(reason) << '\n';
    }
    for (const Named& vip : VipNames(*registry_)) {
      const fwd::VipCounters& c = engine_.dataplane().counters().vips[vip.id];
      out_ << "vip " << vip.name << ": " << c.packets.Value() << " packets, " << c.new_flows.Value() << " new flows, "
           << c.dropped.Value() << " dropped\n";
    }
    for (const Named& backend : BackendNames(*registry_)) {
      const fwd::BackendCounters& c = engine_.dataplane().counters().backends[backend.id];
      out_ << "backend " << backend.name << ": " << c.packets.Value() << " packets, " << c.flows_started.Value()
           << " flows\n";
    }
    if (cut_ != 0) {
      out_ << cut_ << " packets were cut by the capture's snap length; the missing bytes were taken as zero\n";
    }
    out_ << (totals.entered() == totals.left() ? "every packet has one fate: " : "PACKETS ARE MISSING: ")
         << totals.entered() << " came in, " << totals.left() << " are accounted for\n";
  }

 private:
  void Line(std::string_view name, uint64_t value) {
    out_ << std::left << std::setw(22) << name << std::right << std::setw(12) << value << '\n';
  }

  Engine& engine_;
  std::ostream& out_;
  const bool totals_only_;
  std::shared_ptr<const model::Registry> registry_;
  Names vips_, backends_;
  uint64_t cut_ = 0;
};

}  // namespace

std::unique_ptr<Report> MakeTextReport(Engine& engine, std::ostream& out, bool totals_only) {
  return std::make_unique<TextReport>(engine, out, totals_only);
}

}  // namespace sluice::replay
