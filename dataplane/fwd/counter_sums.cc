#include "dataplane/fwd/counter_sums.h"

#include <cstddef>

namespace sluice::fwd {

void AddTotals(const WorkerCounters& counters, PacketTotals& totals) {
  totals.received += counters.received.Value();
  totals.from_host += counters.from_host.Value();
  totals.originated += counters.originated.Value();
  totals.forwarded += counters.forwarded.Value();
  totals.answered += counters.answered.Value();
  totals.punted += counters.punted.Value();
  totals.sent_for_host += counters.sent_for_host.Value();
  for (size_t i = 0; i < kDropReasonCount; ++i) totals.dropped[i] += counters.dropped[i].Value();
}

void AddVip(const WorkerCounters& counters, VipId id, VipStats& stats) {
  if (!id.valid() || id.index() >= counters.vip_count) return;
  const VipCounters& vip = counters.vips[id.index()];
  stats.packets += vip.requests.packets.Value();
  stats.bytes += vip.requests.bytes.Value();
  stats.new_flows += vip.new_flows.Value();
  stats.dropped += vip.dropped.Value();
  stats.reply_packets += vip.replies.packets.Value();
  stats.reply_bytes += vip.replies.bytes.Value();
  stats.unprotected += vip.unprotected.Value();
}

void AddBackend(const WorkerCounters& counters, BackendId id, BackendStats& stats) {
  if (!id.valid() || id.index() >= counters.backend_count) return;
  const BackendCounters& backend = counters.backends[id.index()];
  stats.packets += backend.requests.packets.Value();
  stats.bytes += backend.requests.bytes.Value();
  // Ended ones first: `flows_started` only grows, so a flow that begins and ends between the two reads is not missed.
  stats.flows_ended += backend.flows_ended.Value();
  stats.flows_started += backend.flows_started.Value();
}

}  // namespace sluice::fwd
