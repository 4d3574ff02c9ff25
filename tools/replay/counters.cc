#include "tools/replay/counters.h"

#include <algorithm>
#include <array>
#include <span>

#include "controlplane/reconcile/view_facts.h"
#include "dataplane/base/check.h"
#include "tools/replay/names.h"

namespace sluice::replay {
namespace {

Counters Zip(std::span<const std::string_view> names, std::span<const uint64_t> values) {
  SLUICE_CHECK(names.size() == values.size());
  Counters counters;
  for (size_t i = 0; i < names.size(); ++i) counters.emplace_back(names[i], values[i]);
  return counters;
}

Counters OfVip(const reconcile::ViewFacts& facts, const model::VipRecord& vip) {
  const model::VipCounts c = facts.CountsOf(vip.id) - vip.baseline;
  return Zip(kVipCounters, std::array{c.packets, c.bytes, c.new_flows, c.dropped});
}

Counters OfBackend(const reconcile::ViewFacts& facts, const model::BackendRecord& backend) {
  const model::BackendCounts c = facts.CountsOf(backend.id) - backend.baseline;
  // Flows that were alive at the baseline (the backend got another name then) may end now.
  const uint64_t ended = c.flows_started + backend.baseline.flows_alive - c.flows_alive;
  return Zip(kBackendCounters, std::array{c.packets, c.bytes, c.flows_started, ended, c.flows_alive});
}

Counters OfTable(const fwd::TableCounters& c) {
  const uint64_t inserted = c.inserted.Value();
  const uint64_t expired = c.expired.Value();
  return Zip(kTableCounters, std::array{inserted - expired, inserted, expired, c.replaced.Value(),
                                        c.insert_full.Value(), c.unconfirmed_full.Value()});
}

const Counters* FindObject(const std::vector<std::pair<std::string, Counters>>& objects, const std::string& name) {
  const auto found = std::find_if(objects.begin(), objects.end(), [&](const auto& o) { return o.first == name; });
  return found != objects.end() ? &found->second : nullptr;
}

const Counters* FindSection(const CounterSnapshot& snapshot, const CounterName& name) {
  if (name.section == "totals") return &snapshot.totals;
  if (name.section == "dropped") return &snapshot.dropped;
  if (name.section == "rungs") return &snapshot.rungs;
  if (name.section == "table_v4") return &snapshot.table_v4;
  if (name.section == "table_v6") return &snapshot.table_v6;
  if (name.section == "table_wide") return &snapshot.table_wide;
  if (name.section == "table_stateful") return &snapshot.table_stateful;
  return FindObject(name.section == "vips" ? snapshot.vips : snapshot.backends, name.object);
}

}  // namespace

CounterSnapshot ReadCounters(Engine& engine) {
  const LocalDataplane& dataplane = engine.dataplane();
  const reconcile::ViewFacts facts(dataplane);
  const std::shared_ptr<const model::Registry> registry = engine.reconciler().Current().registry;
  CounterSnapshot snapshot;
  const fwd::PacketTotals t = dataplane.Totals();
  snapshot.totals = Zip(kTotals, std::array{t.received, t.from_host, t.originated, t.forwarded, t.answered, t.punted,
                                            t.sent_for_host, t.held});
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    snapshot.dropped.emplace_back(DropReasonLabel(static_cast<DropReason>(i)), t.dropped[i]);
  }
  snapshot.dropped_total = t.dropped_total();
  snapshot.entered = t.entered();
  snapshot.left = t.left();
  for (size_t i = 1; i < fwd::kRungCount; ++i) {
    snapshot.rungs.emplace_back(RungName(static_cast<fwd::Rung>(i)), dataplane.counters().rungs[i].Value());
  }
  snapshot.rungs.emplace_back(kRescheduled, dataplane.counters().rescheduled.Value());
  snapshot.rungs.emplace_back(kCookiesRefused, dataplane.counters().cookies_refused.Value());
  snapshot.rungs.emplace_back(kSecondChances, dataplane.counters().second_chances.Value());
  snapshot.rungs.emplace_back(kCopied, dataplane.counters().copies.packets.Value());
  snapshot.rungs.emplace_back(kCopiesLimited, dataplane.counters().copies.limited.Value());
  for (const model::VipRecord& vip : *registry->vips) snapshot.vips.emplace_back(vip.desired.name, OfVip(facts, vip));
  for (const auto& pool : registry->pools) {
    for (const model::BackendRecord& backend : pool->backends) {
      snapshot.backends.emplace_back(BackendName(*pool, backend), OfBackend(facts, backend));
    }
  }
  snapshot.table_v4 = OfTable(dataplane.counters().table_v4);
  snapshot.table_v6 = OfTable(dataplane.counters().table_v6);
  snapshot.table_wide = OfTable(dataplane.counters().table_wide);
  snapshot.table_stateful = OfTable(dataplane.counters().table_stateful);
  return snapshot;
}

std::optional<uint64_t> FindCounter(const CounterSnapshot& snapshot, const CounterName& name) {
  const Counters* const counters = FindSection(snapshot, name);
  if (counters == nullptr) return std::nullopt;
  const auto found =
      std::find_if(counters->begin(), counters->end(), [&](const auto& c) { return c.first == name.counter; });
  SLUICE_CHECK(found != counters->end());  // whoever made the name took it from the lists
  return found->second;
}

}  // namespace sluice::replay
