#include <array>
#include <cstdio>
#include <string_view>

#include "tools/replay/names.h"
#include "tools/replay/report.h"
#include "tools/replay/report_terms.h"

namespace sluice::replay {
namespace {

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + '"';
}

// Writes one JSON object of members, each with its comma.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::ostream& out) : out_(out) { out_ << '{'; }
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;
  ~ObjectWriter() { out_ << '}'; }

  std::ostream& Key(std::string_view name) {
    if (!first_) out_ << ", ";
    first_ = false;
    return out_ << Quoted(name) << ": ";
  }
  void Number(std::string_view name, uint64_t value) { Key(name) << value; }
  void Text(std::string_view name, std::string_view value) { Key(name) << Quoted(value); }

 private:
  std::ostream& out_;
  bool first_ = true;
};

class JsonReport final : public Report {
 public:
  JsonReport(Engine& engine, std::ostream& out, bool totals_only)
      : engine_(engine), out_(out), totals_only_(totals_only) {}

  void Begin() override {
    registry_ = engine_.reconciler().Current().registry;
    vips_ = MakeNames(VipNames(*registry_));
    backends_ = MakeNames(BackendNames(*registry_));
    out_ << "{";
    if (!totals_only_) out_ << "\"packets\": [";
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
    if (result.vip.valid()) object.Text("vip", NameOf(vips_, result.vip.value()));
    if (result.backend.valid()) object.Text("backend", NameOf(backends_, result.backend.value()));
    if (result.rung != fwd::Rung::kNone) object.Text("rung", RungName(result.rung));
    if (result.out_port.valid()) object.Number("port", result.out_port.value());
    if (frame.was_cut) object.Key("cut") << "true";
  }

  void End() override {
    if (!totals_only_) out_ << "],\n ";
    const fwd::PacketTotals totals = engine_.dataplane().Totals();
    out_ << "\"totals\": ";
    {
      ObjectWriter object(out_);
      for (const auto& [name, value] : Terms(totals)) object.Number(name, value);
      object.Key("dropped");
      ObjectWriter dropped(out_);
      for (size_t i = 0; i < kDropReasonCount; ++i) {
        if (totals.dropped[i] != 0) dropped.Number(DropReasonLabel(static_cast<DropReason>(i)), totals.dropped[i]);
      }
    }
    out_ << ",\n \"balanced\": " << (totals.entered() == totals.left() ? "true" : "false");
    WriteRungs();
    WriteVips();
    WriteBackends();
    WriteTables();
    out_ << "}\n";
  }

 private:
  void WriteRungs() {
    out_ << ",\n \"rungs\": ";
    ObjectWriter object(out_);
    for (size_t i = 1; i < fwd::kRungCount; ++i) {
      object.Number(RungName(static_cast<fwd::Rung>(i)), engine_.dataplane().counters().rungs[i].Value());
    }
    object.Number("rescheduled", engine_.dataplane().counters().rescheduled.Value());
  }

  void WriteVips() {
    out_ << ",\n \"vips\": ";
    ObjectWriter object(out_);
    for (const Named& vip : VipNames(*registry_)) {
      const fwd::VipCounters& c = engine_.dataplane().counters().vips[vip.id];
      object.Key(vip.name);
      ObjectWriter counters(out_);
      counters.Number("packets", c.packets.Value());
      counters.Number("bytes", c.bytes.Value());
      counters.Number("new_flows", c.new_flows.Value());
      counters.Number("dropped", c.dropped.Value());
    }
  }

  void WriteBackends() {
    out_ << ",\n \"backends\": ";
    ObjectWriter object(out_);
    for (const Named& backend : BackendNames(*registry_)) {
      const fwd::BackendCounters& c = engine_.dataplane().counters().backends[backend.id];
      object.Key(backend.name);
      ObjectWriter counters(out_);
      counters.Number("packets", c.packets.Value());
      counters.Number("bytes", c.bytes.Value());
      counters.Number("flows_started", c.flows_started.Value());
      counters.Number("flows_ended", c.flows_ended.Value());
    }
  }

  void WriteTables() {
    for (const bool v4 : {true, false}) {
      const fwd::TableCounters& c =
          v4 ? engine_.dataplane().counters().table_v4 : engine_.dataplane().counters().table_v6;
      out_ << (v4 ? ",\n \"table_v4\": " : ",\n \"table_v6\": ");
      ObjectWriter object(out_);
      object.Number("inserted", c.inserted.Value());
      object.Number("expired", c.expired.Value());
      object.Number("replaced", c.replaced.Value());
      object.Number("insert_full", c.insert_full.Value());
    }
  }

  Engine& engine_;
  std::ostream& out_;
  const bool totals_only_;
  bool any_packet_ = false;
  std::shared_ptr<const model::Registry> registry_;
  Names vips_, backends_;
};

}  // namespace

std::unique_ptr<Report> MakeJsonReport(Engine& engine, std::ostream& out, bool totals_only) {
  return std::make_unique<JsonReport>(engine, out, totals_only);
}

}  // namespace sluice::replay
