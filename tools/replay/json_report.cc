#include <optional>
#include <string_view>

#include "tools/replay/counters.h"
#include "tools/replay/json_writer.h"
#include "tools/replay/names.h"
#include "tools/replay/pcap_file.h"
#include "tools/replay/report.h"
#include "tools/replay/report_terms.h"

namespace sluice::replay {
namespace {

void WriteNumbers(ObjectWriter& object, const Counters& counters) {
  for (const auto& [name, value] : counters) object.Number(name, value);
}

void WriteObject(std::ostream& out, const Counters& counters) {
  ObjectWriter object(out);
  WriteNumbers(object, counters);
}

void WriteCheck(std::ostream& out, const Check& check) {
  ObjectWriter object(out);
  object.Number("line", static_cast<uint64_t>(check.expectation->line));
  object.Text("counter", check.expectation->path);
  object.Text("expected", check.expectation->Expected());
  if (check.actual) {
    object.Number("actual", *check.actual);
  } else {
    object.Key("actual") << "null";
  }
  object.Bool("ok", check.holds());
}

class JsonReport final : public Report {
 public:
  JsonReport(Engine& engine, std::ostream& out, bool totals_only, ReportKind kind)
      : engine_(engine), out_(out), totals_only_(totals_only), kind_(kind) {}

  void Begin() override {
    names_.Refresh(engine_);
    out_ << "{";
    if (kind_ == ReportKind::kScenario) {
      out_ << "\"steps\": [";
    } else {
      if (!totals_only_) BeginPackets(out_ << "\"packets\": ");
    }
  }

  void BeginStep(size_t number, const Step& step) override {
    names_.Refresh(engine_);
    out_ << (number > 1 ? ",\n  " : "\n  ");
    ObjectWriter& object = step_.emplace(out_);
    object.Number("step", number);
    object.Number("line", static_cast<uint64_t>(step.line));
    object.Text("kind", KindOf(step));
    object.Text("what", Describe(step));
    if (KindOf(step) == "replay" && !totals_only_) BeginPackets(object.Key("packets"));
  }

  void Packet(uint64_t number, const Frame& frame, const PacketResult& result) override {
    if (totals_only_) return;
    out_ << (any_packet_ ? ",\n  " : "\n  ");
    any_packet_ = true;
    ObjectWriter object(out_);
    object.Number("number", number);
    object.Number("time_ns", frame.time_ns);
    object.Text("fate", FateName(result.fate));
    if (result.fate == Fate::kDropped) object.Text("reason", DropReasonLabel(result.reason));
    if (result.fate == Fate::kPunted) object.Text("class", PuntClassName(result.punt_class));
    if (result.vip.valid()) object.Text("vip", names_.Of(result.vip));
    if (result.backend.valid()) object.Text("backend", names_.Of(result.backend));
    if (result.rung != fwd::Rung::kNone) object.Text("rung", RungName(result.rung));
    if (result.out_port.valid()) object.Number("port", result.out_port.value());
    if (!result.extra.empty()) {
      WriteArray(object.Key("extra"), result.extra,
                 [this](const ExtraFrame& extra) { out_ << model::JsonString(std::string(FateName(extra.fate))); });
    }
    if (frame.was_cut) object.Bool("cut", true);
  }

  void EndStep(const StepResult& result) override {
    EndPackets();
    ObjectWriter& object = *step_;
    object.Number("clock_s", engine_.ElapsedNs() / kNsPerSecond);
    if (!result.changes.empty()) {
      WriteArray(object.Key("changes"), result.changes,
                 [this](const std::string& line) { out_ << model::JsonString(line); });
    }
    if (!result.refusal.empty()) object.Text("refusal", result.refusal);
    if (!result.checks.empty()) {
      WriteArray(object.Key("expectations"), result.checks, [this](const Check& check) { WriteCheck(out_, check); });
    }
    WriteArray(object.Key("failures"), result.failures, [this](const Failure& failure) {
      ObjectWriter record(out_);
      record.Number("line", static_cast<uint64_t>(failure.line));
      record.Text("text", failure.text);
    });
    object.Bool("ok", result.failures.empty());
    step_.reset();
  }

  void End() override {
    const CounterSnapshot counters = ReadCounters(engine_);
    if (kind_ == ReportKind::kScenario) {
      out_ << "],\n ";
    } else if (EndPackets()) {
      out_ << ",\n ";
    }
    out_ << "\"totals\": ";
    {
      ObjectWriter object(out_);
      WriteNumbers(object, counters.totals);
      object.Key("dropped");
      ObjectWriter dropped(out_);
      for (const auto& [reason, value] : counters.dropped) {
        if (value != 0) dropped.Number(reason, value);
      }
    }
    out_ << ",\n \"balanced\": " << (counters.balanced() ? "true" : "false");
    WriteObject(out_ << ",\n \"rungs\": ", counters.rungs);
    WriteObjects(",\n \"vips\": ", counters.vips);
    WriteObjects(",\n \"backends\": ", counters.backends);
    WriteObject(out_ << ",\n \"table_v4\": ", counters.table_v4);
    WriteObject(out_ << ",\n \"table_v6\": ", counters.table_v6);
    WriteObject(out_ << ",\n \"table_wide\": ", counters.table_wide);
    WriteObject(out_ << ",\n \"table_stateful\": ", counters.table_stateful);
    out_ << "}\n";
  }

 private:
  void BeginPackets(std::ostream& out) {
    is_in_packets_ = true;
    any_packet_ = false;
    out << "[";
  }
  // False when there is no list to end.
  bool EndPackets() {
    if (!is_in_packets_) return false;
    is_in_packets_ = false;
    out_ << "]";
    return true;
  }

  void WriteObjects(std::string_view key, const std::vector<std::pair<std::string, Counters>>& objects) {
    out_ << key;
    ObjectWriter object(out_);
    for (const auto& [name, counters] : objects) WriteObject(object.Key(name), counters);
  }

  Engine& engine_;
  std::ostream& out_;
  const bool totals_only_;
  const ReportKind kind_;
  NameTable names_;
  std::optional<ObjectWriter> step_;
  bool is_in_packets_ = false;
  bool any_packet_ = false;
};

}  // namespace

std::unique_ptr<Report> MakeJsonReport(Engine& engine, std::ostream& out, bool totals_only, ReportKind kind) {
  return std::make_unique<JsonReport>(engine, out, totals_only, kind);
}

}  // namespace sluice::replay
