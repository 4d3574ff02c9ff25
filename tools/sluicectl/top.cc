#include "tools/sluicectl/top.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "config/text.h"
#include "tools/sluicectl/print.h"
#include "tools/sluicectl/table.h"
#include "tools/sluicectl/units.h"

namespace sluice::ctl {
namespace {

using config::Cat;

enum class Tone { kPlain, kTitle, kNotice, kAlarm };

std::string_view ColourOf(Tone tone) {
  switch (tone) {
    case Tone::kTitle:
      return "\x1b[1m";
    case Tone::kNotice:
      return "\x1b[33m";
    case Tone::kAlarm:
      return "\x1b[31m";
    case Tone::kPlain:
      break;
  }
  return "";
}

struct Line {
  std::string text;
  Tone tone = Tone::kPlain;
};

// Rows of one kind, sorted by their traffic.
class Section {
 public:
  Section(std::string_view plural, std::vector<Column> columns) : plural_(plural), columns_(std::move(columns)) {}

  void Add(double weight, Tone tone, std::vector<std::string> cells) {
    rows_.push_back({weight, tone, std::move(cells)});
  }
  size_t size() const { return rows_.size(); }

  // At most `limit` rows; 0: all.
  std::vector<Line> Render(size_t limit) {
    std::stable_sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) { return a.weight > b.weight; });
    const size_t shown = limit == 0 ? rows_.size() : std::min(limit, rows_.size());
    Table table(columns_);
    for (size_t i = 0; i < shown; ++i) table.AddRow(rows_[i].cells);
    std::stringstream text;
    table.Print(text);
    std::vector<Line> lines;
    for (std::string line; std::getline(text, line);) {
      lines.push_back({line, lines.empty() ? Tone::kTitle : rows_[lines.size() - 1].tone});
    }
    if (shown < rows_.size()) lines.push_back({Cat("... and ", rows_.size() - shown, " more ", plural_)});
    return lines;
  }

 private:
  struct Row {
    double weight = 0;
    Tone tone = Tone::kPlain;
    std::vector<std::string> cells;
  };
  std::string_view plural_;
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

// What a counter did in a second.
class Rates {
 public:
  explicit Rates(double seconds) : seconds_(seconds) {}

  // An object that was not there before began at zero.
  double Of(uint64_t before, uint64_t now) const {
    return now > before && seconds_ > 0 ? static_cast<double>(now - before) / seconds_ : 0;
  }
  double Share(double before_s, double now_s) const {
    return seconds_ > 0 ? std::clamp((now_s - before_s) / seconds_, 0.0, 1.0) : 0;
  }
  static std::string Text(double rate) { return HumanCount(static_cast<uint64_t>(std::llround(rate))); }
  static std::string Bits(double bytes) { return Cat(Text(bytes * 8), "b"); }

 private:
  double seconds_;
};

template <typename Items, typename KeyOf>
auto ByKey(const Items& items, KeyOf key_of) {
  std::map<std::string, typename Items::value_type> by_key;
  for (const auto& item : items) by_key[key_of(item)] = item;
  return by_key;
}

template <typename Map>
typename Map::mapped_type At(const Map& map, const std::string& key) {
  const auto it = map.find(key);
  return it == map.end() ? typename Map::mapped_type() : it->second;
}

std::string BackendKey(const v1::BackendStatus& backend) { return Cat(backend.pool(), "/", backend.backend().name()); }

Section VipSection(const TopSample& before, const TopSample& now, const Rates& rates) {
  Section section("VIPs", {{"VIP"},
                           {"SERVICE"},
                           {"MODE"},
                           {"ACTIVE", Align::kRight},
                           {"PACKETS/s", Align::kRight},
                           {"BITS/s", Align::kRight},
                           {"NEW FLOWS/s", Align::kRight},
                           {"DROPPED/s", Align::kRight}});
  const auto earlier = ByKey(before.vips.vips(), [](const v1::VipStatus& vip) { return vip.vip().name(); });
  for (const v1::VipStatus& vip : now.vips.vips()) {
    const v1::VipStatus old = At(earlier, vip.vip().name());
    const double packets = rates.Of(old.packets(), vip.packets());
    const double dropped = rates.Of(old.dropped(), vip.dropped());
    const bool dead = vip.backends_active() == 0;
    section.Add(packets,
                dead          ? Tone::kAlarm
                : dropped > 0 ? Tone::kNotice
                              : Tone::kPlain,
                {vip.vip().name(), ServiceText(vip.vip()), std::string(ModeText(vip.vip().mode())),
                 Cat(vip.backends_active(), "/", vip.backends_total()), Rates::Text(packets),
                 Rates::Bits(rates.Of(old.bytes(), vip.bytes())),
                 Rates::Text(rates.Of(old.new_flows(), vip.new_flows())), Rates::Text(dropped)});
  }
  return section;
}

Section BackendSection(const TopSample& before, const TopSample& now, const Rates& rates) {
  Section section("backends", {{"BACKEND"},
                               {"ADDRESS"},
                               {"STATE"},
                               {"SLOTS", Align::kRight},
                               {"FLOWS", Align::kRight},
                               {"NEW/s", Align::kRight},
                               {"PACKETS/s", Align::kRight},
                               {"BITS/s", Align::kRight},
                               {"NEXT HOP"}});
  const auto earlier = ByKey(before.backends.backends(), BackendKey);
  for (const v1::BackendStatus& backend : now.backends.backends()) {
    const std::string key = BackendKey(backend);
    const v1::BackendStatus old = At(earlier, key);
    const double packets = rates.Of(old.packets(), backend.packets());
    const bool active = backend.lifecycle() == v1::BACKEND_LIFECYCLE_ACTIVE;
    const bool down = backend.health() == v1::BACKEND_HEALTH_DOWN;
    section.Add(
        packets,
        down || !backend.next_hop().resolved() ? Tone::kAlarm
        : !active                              ? Tone::kNotice
                                               : Tone::kPlain,
        {key, BackendText(backend.backend()), StateText(backend), HumanShare(backend.slot_share()),
         HumanCount(backend.flows_alive()), Rates::Text(rates.Of(old.flows_started(), backend.flows_started())),
         Rates::Text(packets), Rates::Bits(rates.Of(old.bytes(), backend.bytes())), NextHopText(backend.next_hop())});
  }
  return section;
}

Section WorkerSection(const TopSample& before, const TopSample& now, const Rates& rates) {
  Section section("workers", {{"WORKER", Align::kRight},
                              {"CPU", Align::kRight},
                              {"STATE"},
                              {"BUSY", Align::kRight},
                              {"ASLEEP", Align::kRight},
                              {"RECEIVED/s", Align::kRight},
                              {"FORWARDED/s", Align::kRight},
                              {"DROPPED/s", Align::kRight},
                              {"FLOWS", Align::kRight}});
  const auto id = [](const v1::WorkerStatus& worker) { return std::to_string(worker.id()); };
  const auto earlier = ByKey(before.workers.workers(), id);
  for (const v1::WorkerStatus& worker : now.workers.workers()) {
    const v1::WorkerStatus old = At(earlier, id(worker));
    const uint64_t flows = worker.table_v4().entries() + worker.table_v6().entries() + worker.table_wide().entries() +
                           worker.table_nat().entries() + worker.table_stateful().entries();
    section.Add(0, worker.stalled() ? Tone::kAlarm : Tone::kPlain,
                {id(worker), std::to_string(worker.cpu()), worker.stalled() ? "STALLED" : "running",
                 HumanShare(rates.Share(old.busy_s(), worker.busy_s())),
                 HumanShare(rates.Share(old.asleep_s(), worker.asleep_s())),
                 Rates::Text(rates.Of(old.received(), worker.received())),
                 Rates::Text(rates.Of(old.forwarded(), worker.forwarded())),
                 Rates::Text(rates.Of(old.dropped(), worker.dropped())), HumanCount(flows)});
  }
  return section;
}

// Only reasons that occurred.
Section DropSection(const TopSample& before, const TopSample& now, const Rates& rates) {
  Section section("reasons", {{"DROPPED BECAUSE"}, {"PACKETS/s", Align::kRight}, {"ALL", Align::kRight}});
  const auto& earlier = before.status.packets().dropped_by_reason();
  const std::map<std::string, uint64_t> reasons(now.status.packets().dropped_by_reason().begin(),
                                                now.status.packets().dropped_by_reason().end());
  for (const auto& [reason, count] : reasons) {
    const auto old = earlier.find(reason);
    const double rate = rates.Of(old == earlier.end() ? 0 : old->second, count);
    section.Add(rate, rate > 0 ? Tone::kNotice : Tone::kPlain, {reason, Rates::Text(rate), HumanCount(count)});
  }
  return section;
}

std::vector<Line> Header(const TopSample& before, const TopSample& now, const Rates& rates) {
  const v1::GetStatusResponse& status = now.status;
  const v1::PacketTotals& packets = status.packets();
  const v1::PacketTotals& old = before.status.packets();
  std::vector<Line> lines;
  lines.push_back(
      {Cat(status.node(), "  sluiced ", status.version(), ", running ", HumanDuration(status.uptime_s()),
           ", state generation ", status.state_generation(),
           status.state_generation_in_use() < status.state_generation() ? " (not in use by all workers)" : "", ", ",
           status.vips(), " VIPs, ", status.backends(), " backends, ", HumanCount(status.flows_alive()), " flows"),
       Tone::kTitle});
  const double dropped = rates.Of(old.dropped(), packets.dropped());
  lines.push_back({Cat("packets/s  received ", Rates::Text(rates.Of(old.received(), packets.received())),
                       ", forwarded ", Rates::Text(rates.Of(old.forwarded(), packets.forwarded())), ", answered ",
                       Rates::Text(rates.Of(old.answered(), packets.answered())), ", to the host ",
                       Rates::Text(rates.Of(old.punted(), packets.punted())), ", dropped ", Rates::Text(dropped)),
                   dropped > 0 ? Tone::kNotice : Tone::kPlain});
  if (status.workers_stalled() > 0 || status.exception_thread_stalled()) {
    lines.push_back({Cat(status.workers_stalled(), " of ", status.workers(), " workers STALLED",
                         status.exception_thread_stalled() ? ", and the thread to the host" : ""),
                     Tone::kAlarm});
  }
  return lines;
}

std::string Print(const std::vector<Line>& lines, const TopScreen& screen) {
  std::string out;
  size_t rows = 0;
  for (const Line& line : lines) {
    // The last line of a terminal stays free, or it would scroll.
    if (screen.rows != 0 && ++rows >= screen.rows) break;
    const std::string text = screen.columns == 0 ? line.text : line.text.substr(0, screen.columns);
    const std::string_view colour = screen.colour ? ColourOf(line.tone) : "";
    out += Cat(colour, text, colour.empty() ? "" : "\x1b[0m", "\n");
  }
  return out;
}

}  // namespace

std::string RenderTop(const TopSample& before, const TopSample& now, const TopScreen& screen) {
  const Rates rates(std::chrono::duration<double>(now.at - before.at).count());
  std::vector<Line> lines = Header(before, now, rates);
  Section workers = WorkerSection(before, now, rates);
  Section drops = DropSection(before, now, rates);
  Section vips = VipSection(before, now, rates);
  Section backends = BackendSection(before, now, rates);
  // Workers and drops are few, and first to be looked at when something is wrong; VIPs and backends share what is left.
  constexpr size_t kMostWorkers = 8;
  constexpr size_t kMostDrops = 6;
  constexpr size_t kAround = 4 * 3;  // titles, blank lines, lines about what is not shown
  size_t limit = 0;
  if (screen.rows != 0) {
    const size_t taken =
        lines.size() + std::min(workers.size(), kMostWorkers) + std::min(drops.size(), kMostDrops) + kAround;
    const size_t left = screen.rows > taken ? screen.rows - taken : 0;
    limit = std::max<size_t>(3, left / 2);
    // What the one does not need is the other's.
    const size_t spare = std::min(vips.size(), backends.size());
    if (spare < limit && left > spare) limit = left - spare;
  }
  const auto append = [&lines](Section& section, size_t most) {
    if (section.size() == 0) return;
    lines.push_back({});
    for (Line& line : section.Render(most)) lines.push_back(std::move(line));
  };
  append(workers, screen.rows == 0 ? 0 : kMostWorkers);
  append(vips, limit);
  append(backends, limit);
  append(drops, screen.rows == 0 ? 0 : kMostDrops);
  return Print(lines, screen);
}

}  // namespace sluice::ctl
