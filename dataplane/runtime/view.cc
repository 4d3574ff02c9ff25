#include "dataplane/runtime/view.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "dataplane/fwd/counter_sums.h"

namespace sluice::runtime {
namespace {

fwd::TableStats ToTableStats(const fwd::TableCounters& counters, size_t capacity) {
  fwd::TableStats stats;
  stats.capacity = capacity;
  // Read before `inserted`, which only grows: the difference cannot be negative.
  stats.expired = counters.expired.Value();
  stats.inserted = counters.inserted.Value();
  stats.entries = stats.inserted > stats.expired ? stats.inserted - stats.expired : 0;
  stats.replaced = counters.replaced.Value();
  stats.insert_full = counters.insert_full.Value();
  stats.unconfirmed_full = counters.unconfirmed_full.Value();
  stats.sweeps = counters.sweeps.Value();
  return stats;
}

fwd::WorkerStats ToWorkerStats(const Worker& worker) {
  const fwd::WorkerCounters& counters = worker.counters();
  fwd::WorkerStats stats;
  stats.id = worker.id();
  stats.cpu = worker.cpu();
  stats.received = counters.received.Value();
  stats.forwarded = counters.forwarded.Value();
  for (const Counter& dropped : counters.dropped) stats.dropped += dropped.Value();
  for (size_t i = 0; i < fwd::kRungCount; ++i) stats.rungs[i] = counters.rungs[i].Value();
  stats.rescheduled = counters.rescheduled.Value();
  stats.cookies_refused = counters.cookies_refused.Value();
  stats.second_chances = counters.second_chances.Value();
  stats.unprotected = {.unknown = counters.unprotected.unknown.Value(),
                       .no_room = counters.unprotected.no_room.Value(),
                       .no_room_flows = counters.unprotected.no_room_flows.Value(),
                       .no_cookie = counters.unprotected.no_cookie.Value(),
                       .no_session = counters.unprotected.no_session.Value()};
  stats.copies = {.packets = counters.copies.packets.Value(),
                  .copies = counters.copies.copies.Value(),
                  .limited = counters.copies.limited.Value(),
                  .no_buffer = counters.copies.no_buffer.Value()};
  const fwd::TableCapacities capacities = worker.capacities();
  stats.table_v4 = ToTableStats(counters.table_v4, capacities.v4);
  stats.table_v6 = ToTableStats(counters.table_v6, capacities.v6);
  stats.table_wide = ToTableStats(counters.table_wide, capacities.wide);
  stats.table_nat = ToTableStats(counters.table_nat, capacities.nat);
  stats.table_stateful = ToTableStats(counters.table_stateful, capacities.stateful);
  stats.nat = {.stateless_replies = counters.nat.stateless_replies.Value(),
               .replies = counters.nat.replies.Value(),
               .proxy_headers = counters.nat.proxy_headers.Value(),
               .unsteered = counters.nat.unsteered.Value()};
  for (size_t i = 0; i < fwd::kAnswerKindCount; ++i) stats.answers[i] = counters.answers[i].Value();
  stats.related = counters.related.Value();
  stats.probes = counters.probes.Value();
  stats.handed_over = counters.handed_over.Value();
  stats.taken_over = counters.taken_over.Value();
  stats.fragments_held = counters.fragments_held.Value();
  stats.polls = counters.polls.Value();
  stats.empty_polls = counters.empty_polls.Value();
  stats.busy_cycles = counters.busy_cycles.Value();
  stats.idle_cycles = counters.idle_cycles.Value();
  stats.sleeps = counters.sleeps.Value();
  stats.slept_ns = counters.slept_ns.Value();
  stats.state_generation = counters.state_generation.Value();
  return stats;
}

}  // namespace

StallMonitor::Change StallMonitor::Check(size_t thread, uint64_t beats, uint64_t now_ms) {
  Seen& seen = seen_[thread];
  if (!seen.valid || seen.beats != beats) {
    seen = {.beats = beats, .since_ms = now_ms, .valid = true};
    return stalled_[thread].exchange(false, std::memory_order_relaxed) ? Change::kRecovered : Change::kNone;
  }
  if (now_ms - seen.since_ms <= kAlarmMs) return Change::kNone;
  return stalled_[thread].exchange(true, std::memory_order_relaxed) ? Change::kNone : Change::kStalled;
}

fwd::PacketTotals View::Totals() const {
  fwd::PacketTotals totals;
  for (const auto& worker : workers_) {
    fwd::AddTotals(worker->counters(), totals);
    totals.held += worker->held();
  }
  if (exception_ != nullptr) {
    fwd::AddTotals(exception_->counters(), totals);
    totals.held += exception_->held();
  }
  return totals;
}

std::vector<fwd::WorkerStats> View::Workers() const {
  std::vector<fwd::WorkerStats> all;
  for (size_t i = 0; i < workers_.size(); ++i) {
    all.push_back(ToWorkerStats(*workers_[i]));
    all.back().stalled = stalls_.Stalled(i);
  }
  return all;
}

bool View::ExceptionThreadStalled() const { return exception_ != nullptr && stalls_.Stalled(workers_.size()); }

std::vector<fwd::PortStats> View::Ports() const {
  std::vector<fwd::PortStats> all;
  for (const auto& port : ports_) {
    fwd::PortStats stats = port->Stats();
    for (const auto& worker : workers_) {
      const fwd::PortCounters& counters = worker->counters().ports[port->id().index()];
      stats.rx_packets += counters.rx_packets.Value();
      stats.rx_bytes += counters.rx_bytes.Value();
      stats.tx_packets += counters.tx_packets.Value();
      stats.tx_bytes += counters.tx_bytes.Value();
    }
    all.push_back(std::move(stats));
  }
  return all;
}

fwd::VipStats View::Vip(VipId id) const {
  fwd::VipStats stats;
  for (const auto& worker : workers_) fwd::AddVip(worker->counters(), id, stats);
  return stats;
}

fwd::BackendStats View::Backend(BackendId id) const {
  fwd::BackendStats stats;
  for (const auto& worker : workers_) fwd::AddBackend(worker->counters(), id, stats);
  return stats;
}

fwd::NextHop View::NextHopOf(BackendId id) const {
  fwd::NextHop hop;
  const std::shared_ptr<const fwd::ForwardingState> state = publisher_.Current();
  if (state == nullptr || !id.valid() || id.index() >= state->backends->size()) return hop;
  const fwd::BackendEntry& entry = (*state->backends)[id.index()];
  if (entry.state == fwd::BackendState::kAbsent) return hop;
  hop.port = entry.port;
  hop.on_link = entry.on_link;
  hop.resolved = entry.resolved;
  hop.source = net::MacAddress(entry.ether.source);
  hop.destination = net::MacAddress(entry.ether.destination);
  if (!entry.has_source) return hop;
  if (entry.family == net::Family::kIpv4) {
    hop.source_v4 = net::IpAddress::FromBytes(entry.family, &entry.outer[offsetof(net::Ipv4Header, source)]);
  } else {
    hop.source_v6 = net::IpAddress::FromBytes(entry.family, &entry.outer[offsetof(net::Ipv6Header, source)]);
  }
  return hop;
}

uint64_t View::GenerationInUse() const {
  uint64_t oldest = std::numeric_limits<uint64_t>::max();
  for (const auto& worker : workers_) oldest = std::min(oldest, worker->counters().state_generation.Value());
  return oldest;
}

bool View::SweptSince(uint64_t generation) const {
  return std::all_of(workers_.begin(), workers_.end(), [generation](const auto& worker) {
    return worker->counters().swept_generation.Value() >= generation;
  });
}

}  // namespace sluice::runtime
