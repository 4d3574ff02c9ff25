#include "controlplane/rpc/convert_stats.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "controlplane/reconcile/view_facts.h"
#include "controlplane/rpc/convert.h"
#include "sluice/v1/types.pb.h"

namespace sluice::rpc {
namespace {

// By fwd::AnswerKind.
constexpr std::array<std::string_view, fwd::kAnswerKindCount> kAnswerNames = {"echo_reply", "packet_too_big",
                                                                              "time_exceeded", "unreachable", "reset"};

void ToProto(const fwd::TableStats& table, v1::TableStatus* message) {
  message->set_entries(table.entries);
  message->set_capacity(table.capacity);
  message->set_inserted(table.inserted);
  message->set_expired(table.expired);
  message->set_replaced(table.replaced);
  message->set_insert_full(table.insert_full);
  message->set_unconfirmed_full(table.unconfirmed_full);
}

void ToProto(const fwd::NatStats& nat, v1::NatStatus* message) {
  message->set_stateless_replies(nat.stateless_replies);
  message->set_replies(nat.replies);
  message->set_proxy_headers(nat.proxy_headers);
  message->set_unsteered(nat.unsteered);
}

v1::BackendLifecycle ToProto(model::Lifecycle lifecycle) {
  switch (lifecycle) {
    case model::Lifecycle::kActive:
      return v1::BACKEND_LIFECYCLE_ACTIVE;
    case model::Lifecycle::kDraining:
      return v1::BACKEND_LIFECYCLE_DRAINING;
    case model::Lifecycle::kRemoved:
      break;
  }
  return v1::BACKEND_LIFECYCLE_UNSPECIFIED;
}

}  // namespace

v1::BackendHealth ToProto(model::Health health) {
  switch (health) {
    case model::Health::kUnchecked:
      return v1::BACKEND_HEALTH_UNCHECKED;
    case model::Health::kUp:
      return v1::BACKEND_HEALTH_UP;
    case model::Health::kDown:
      return v1::BACKEND_HEALTH_DOWN;
  }
  return v1::BACKEND_HEALTH_UNSPECIFIED;
}

v1::PoolService ToProto(model::PoolService service) {
  switch (service) {
    case model::PoolService::kOwn:
      return v1::POOL_SERVICE_OWN;
    case model::PoolService::kPanic:
      return v1::POOL_SERVICE_PANIC;
    case model::PoolService::kBackup:
      return v1::POOL_SERVICE_BACKUP;
    case model::PoolService::kNone:
      return v1::POOL_SERVICE_NONE;
  }
  return v1::POOL_SERVICE_UNSPECIFIED;
}

void ToProto(const fwd::PacketTotals& totals, v1::PacketTotals* message) {
  message->set_received(totals.received);
  message->set_from_host(totals.from_host);
  message->set_originated(totals.originated);
  message->set_forwarded(totals.forwarded);
  message->set_answered(totals.answered);
  message->set_punted(totals.punted);
  message->set_sent_for_host(totals.sent_for_host);
  message->set_dropped(totals.dropped_total());
  message->set_held(totals.held);
  for (size_t i = 0; i < totals.dropped.size(); ++i) {
    if (totals.dropped[i] == 0) continue;
    (*message->mutable_dropped_by_reason())[std::string(DropReasonLabel(static_cast<DropReason>(i)))] =
        totals.dropped[i];
  }
}

void ToProto(const fwd::PortStats& port, v1::PortStatus* message) {
  message->set_name(port.name);
  for (const std::string& device : port.devices) message->add_devices(device);
  message->set_mac(port.mac.ToString());
  message->set_link_up(port.link_up);
  message->set_link_speed_mbps(port.link_speed_mbps);
  message->set_mtu_bytes(port.mtu_bytes);
  message->set_rx_queues(port.rx_queues);
  message->set_exception_interface(port.exception_interface);
  message->set_rx_packets(port.rx_packets);
  message->set_rx_bytes(port.rx_bytes);
  message->set_tx_packets(port.tx_packets);
  message->set_tx_bytes(port.tx_bytes);
  message->set_rx_missed(port.rx_missed);
  message->set_rx_errors(port.rx_errors);
  message->set_rx_no_buffer(port.rx_no_buffer);
}

void ToProto(const fwd::WorkerStats& worker, std::chrono::nanoseconds uptime, v1::WorkerStatus* message) {
  message->set_id(worker.id.value());
  message->set_cpu(worker.cpu);
  message->set_received(worker.received);
  message->set_forwarded(worker.forwarded);
  message->set_dropped(worker.dropped);
  const double awake_cycles = static_cast<double>(worker.busy_cycles) + static_cast<double>(worker.idle_cycles);
  const double asleep = uptime.count() <= 0
                            ? 0
                            : std::min(1.0, static_cast<double>(worker.slept_ns) / static_cast<double>(uptime.count()));
  const double busy = awake_cycles == 0 ? 0 : static_cast<double>(worker.busy_cycles) / awake_cycles;
  message->set_busy_share(busy * (1 - asleep));
  message->set_asleep_share(asleep);
  const double uptime_s = std::chrono::duration<double>(uptime).count();
  message->set_busy_s(busy * (1 - asleep) * uptime_s);
  message->set_asleep_s(asleep * uptime_s);
  for (size_t i = 1; i < worker.rungs.size(); ++i) {
    (*message->mutable_rungs())[std::string(fwd::kRungNames[i])] = worker.rungs[i];
  }
  ToProto(worker.table_v4, message->mutable_table_v4());
  ToProto(worker.table_v6, message->mutable_table_v6());
  ToProto(worker.table_wide, message->mutable_table_wide());
  ToProto(worker.table_nat, message->mutable_table_nat());
  ToProto(worker.table_stateful, message->mutable_table_stateful());
  ToProto(worker.nat, message->mutable_nat());
  message->set_handed_over(worker.handed_over);
  message->set_taken_over(worker.taken_over);
  message->set_fragments_held(worker.fragments_held);
  for (size_t i = 0; i < worker.answers.size(); ++i) {
    (*message->mutable_answers())[std::string(kAnswerNames[i])] = worker.answers[i];
  }
  message->set_related(worker.related);
  message->set_probes(worker.probes);
  v1::CopyStatus* const copies = message->mutable_copies();
  copies->set_packets(worker.copies.packets);
  copies->set_copies(worker.copies.copies);
  copies->set_limited(worker.copies.limited);
  copies->set_no_buffer(worker.copies.no_buffer);
  message->set_state_generation(worker.state_generation);
  message->set_stalled(worker.stalled);
}

void ToProto(const model::Snapshot& snapshot, const model::VipRecord& vip, const fwd::DataplaneView& view,
             v1::VipStatus* message) {
  ToProto(vip.desired, message->mutable_vip());
  const model::VipCounts counts = reconcile::ViewFacts(view).CountsOf(vip.id) - vip.baseline;
  message->set_packets(counts.packets);
  message->set_bytes(counts.bytes);
  message->set_new_flows(counts.new_flows);
  message->set_dropped(counts.dropped);
  message->set_reply_packets(counts.reply_packets);
  message->set_reply_bytes(counts.reply_bytes);
  message->set_unprotected(counts.unprotected);
  const model::PoolRecord* pool = snapshot.registry->FindPool(vip.desired.pool);
  if (pool == nullptr) return;
  message->set_backends_active(static_cast<uint32_t>(pool->active()));
  message->set_backends_total(static_cast<uint32_t>(pool->backends.size()));
}

void ToProto(const model::Snapshot& snapshot, const model::PoolRecord& pool, const model::BackendRecord& backend,
             const fwd::DataplaneView& view, const std::vector<fwd::PortStats>& ports, v1::BackendStatus* message) {
  message->set_pool(pool.name);
  ToProto(backend.desired, message->mutable_backend());
  message->set_lifecycle(ToProto(backend.lifecycle));
  message->set_health(ToProto(backend.health.value()));
  message->set_health_checked(ToProto(backend.health.checked));
  message->set_health_reported(ToProto(backend.health.reported));
  message->set_health_reason(backend.health.reason);
  if (backend.health.since != std::chrono::system_clock::time_point()) {
    message->set_health_since_unix_ms(UnixMs(backend.health.since));
  }
  const model::BackendCounts counts = reconcile::ViewFacts(view).CountsOf(backend.id) - backend.baseline;
  message->set_packets(counts.packets);
  message->set_bytes(counts.bytes);
  message->set_flows_alive(counts.flows_alive);
  message->set_flows_started(counts.flows_started);
  message->set_slot_share(snapshot.SlotShare(pool, backend));
  message->set_slow_start_percent(backend.weight_use.start_percent);
  message->set_load_percent(backend.weight_use.load_percent);
  const fwd::NextHop hop = view.NextHopOf(backend.id);
  v1::NextHopStatus* next_hop = message->mutable_next_hop();
  next_hop->set_resolved(hop.resolved);
  next_hop->set_on_link(hop.on_link);
  if (hop.resolved) next_hop->set_mac(hop.destination.ToString());
  for (const fwd::PortStats& port : ports) {
    if (hop.port.valid() && port.id == hop.port) next_hop->set_port(port.name);
  }
}

}  // namespace sluice::rpc
