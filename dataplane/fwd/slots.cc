#include "dataplane/fwd/slots.h"

#include <optional>

#include "dataplane/fwd/policies.h"
#include "dataplane/lb/slot_table.h"
#include "dataplane/net/headers.h"

namespace sluice::fwd {
namespace {

lb::ConnectionSlot* FindSlot(const FlowView& flow, FlowTables& tables) {
  const auto cookie = static_cast<uint8_t>(flow.echo);
  return tables.slots().table.Find(flow.hash, flow.vip, lb::SlotCookie(flow.hash, cookie));
}

bool HasBackend(const lb::ConnectionSlot& slot, const ForwardingState& state) {
  return BackendExists(*state.backends, {.backend = slot.backend, .generation = slot.generation});
}

void Assign(lb::ConnectionSlot& slot, BackendId backend, const ForwardingState& state, WorkerCounters& counters) {
  slot.backend = backend;
  slot.generation = static_cast<uint8_t>((*state.backends)[backend.index()].generation);
  counters.backends[backend.index()].flows_started.Increment();
}

// The slot's backend is none for it any more. False: nor is another one.
bool Move(lb::ConnectionSlot& slot, const ForwardingState& state, const FlowView& flow, uint32_t now_s,
          FlowTables& tables, WorkerCounters& counters) {
  counters.backends[slot.backend.index()].flows_ended.Increment();
  const BackendId backend = PlaceFlow(state, flow, now_s, tables, counters);
  if (backend.valid()) {
    counters.table_stateful.replaced.Increment();
    counters.rescheduled.Increment();
    Assign(slot, backend, state, counters);
    return true;
  }
  counters.table_stateful.expired.Increment();
  if (lb::IsUnconfirmed(slot.state)) --tables.slots().unconfirmed;
  tables.slots().table.Remove(slot);
  return false;
}

}  // namespace

bool BeginsWithTimestamps(const FlowView& flow) {
  constexpr uint8_t kFlags = net::kTcpSyn | net::kTcpAck | net::kTcpRst | net::kTcpFin;
  return flow.has_timestamps && !flow.related && (flow.tcp_flags & kFlags) == net::kTcpSyn;
}

bool TakesSlot(const FlowView& flow) { return BeginsWithTimestamps(flow) && !flow.is_part; }

Selection BeginInSlot(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                      WorkerCounters& counters) {
  CountedTable<lb::SlotTable>& slots = tables.slots();
  TableCounters& table_counters = counters.table_stateful;
  if (slots.unconfirmed >= slots.unconfirmed_limit) {
    table_counters.unconfirmed_full.Increment();
    return {};
  }
  const BackendId backend = PlaceFlow(state, flow, now_s, tables, counters);
  if (!backend.valid()) return {};
  const lb::FlowState first = lb::FirstState(flow.protocol, flow.tcp_flags);
  const std::optional<uint8_t> number = slots.table.Insert(flow.hash, flow.vip, first, now_s);
  if (!number) {
    table_counters.insert_full.Increment();
    return {};
  }
  lb::ConnectionSlot& slot = *slots.table.Find(flow.hash, flow.vip, *number);
  slot.packets = 1;
  slot.bytes = flow.bytes;
  if (lb::IsUnconfirmed(first)) ++slots.unconfirmed;
  table_counters.inserted.Increment();
  counters.vips[flow.vip.index()].new_flows.Increment();
  Assign(slot, backend, state, counters);
  return {.backend = backend, .rung = Rung::kScheduler, .syn_echo = lb::SynEcho(lb::SlotCookie(flow.hash, *number))};
}

SlotClaim ClaimSlot(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                    WorkerCounters& counters) {
  lb::ConnectionSlot* slot = FindSlot(flow, tables);
  if (slot == nullptr) return {};
  const bool has_backend = HasBackend(*slot, state);
  if (flow.related) return {.backend = has_backend ? slot->backend : BackendId(), .known = true};
  const auto leaves = [&](const BackendEntry& backend) {
    return !StaysWith(backend, flow) && !IsResetByDown(backend, flow.protocol, flow.tcp_flags);
  };
  const bool moves = !has_backend || leaves((*state.backends)[slot->backend.index()]);
  if (moves && !Move(*slot, state, flow, now_s, tables, counters)) return {.backend = {}, .known = true};
  slot->last_seen_s = static_cast<uint16_t>(now_s);
  ++slot->packets;
  slot->bytes += flow.bytes;
  const lb::FlowState next = lb::NextState(slot->state, flow.tcp_flags);
  if (next != slot->state) {
    if (lb::IsUnconfirmed(slot->state)) --tables.slots().unconfirmed;
    if (lb::IsUnconfirmed(next)) ++tables.slots().unconfirmed;
    slot->state = next;
  }
  return {.backend = slot->backend, .known = true, .moved = moves};
}

TrackedFlow SearchSlot(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables) {
  const VipEntry& vip = (*state.vips)[flow.vip.index()];
  const lb::ConnectionSlot* slot = vip.slots ? tables.slots().table.Search(flow.hash, flow.vip) : nullptr;
  if (slot == nullptr) return {};
  return {.exists = true,
          .backend_exists = HasBackend(*slot, state),
          .over = slot->IdleSeconds(now_s) >= lb::TimeoutOf(slot->state, vip.timeouts),
          .backend = slot->backend,
          .state = slot->state,
          .idle_s = slot->IdleSeconds(now_s),
          .in_slot = true,
          .packets = slot->packets,
          .bytes = slot->bytes,
          .age_s = now_s - slot->began_s};
}

BackendId PeekSlot(const ForwardingState& state, const FlowView& flow, FlowTables& tables) {
  if (!(*state.vips)[flow.vip.index()].slots || !flow.has_echo) return BackendId();
  const lb::ConnectionSlot* slot = FindSlot(flow, tables);
  return slot != nullptr && HasBackend(*slot, state) ? slot->backend : BackendId();
}

}  // namespace sluice::fwd
