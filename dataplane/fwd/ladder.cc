#include "dataplane/fwd/ladder.h"

#include <cstring>

#include "dataplane/net/headers.h"

namespace sluice::fwd {
namespace {

lb::ConnectionKeyV4 KeyV4(const FlowView& flow) {
  lb::ConnectionKeyV4 key;
  std::memcpy(&key.client, flow.client, sizeof(key.client));
  key.client_port = flow.client_port;
  key.destination_port = flow.destination_port;
  key.vip = flow.vip;
  return key;
}

lb::ConnectionKeyV6 KeyV6(const FlowView& flow) {
  lb::ConnectionKeyV6 key;
  std::memcpy(&key.client_high, flow.client, sizeof(key.client_high));
  std::memcpy(&key.client_low, flow.client + sizeof(key.client_high), sizeof(key.client_low));
  key.client_port = flow.client_port;
  key.destination_port = flow.destination_port;
  key.vip = flow.vip;
  return key;
}

// The scheduler's choice; invalid when the pool has no backend for new flows.
BackendId Schedule(const ForwardingState& state, const FlowView& flow) {
  const PoolId pool = (*state.vips)[flow.vip.index()].pool;
  const std::vector<uint16_t>& slots = state.pools[pool.index()]->slots;
  if (slots.empty()) return BackendId();
  return BackendId(slots[lb::SlotOf(flow.hash, static_cast<uint32_t>(slots.size()))]);
}

template <typename Entry>
void Assign(Entry& entry, BackendId backend, const ForwardingState& state, const FlowView& flow, uint32_t now_s,
            WorkerCounters& counters) {
  entry.value.backend = backend;
  entry.value.generation = static_cast<uint8_t>((*state.backends)[backend.index()].generation);
  entry.value.last_seen_s = static_cast<uint16_t>(now_s);
  entry.set_state(lb::FirstState(flow.protocol, flow.tcp_flags));
  counters.backends[backend.index()].flows_started.Increment();
}

template <typename Table, typename Key>
class Ladder {
 public:
  Ladder(const ForwardingState& state, const FlowView& flow, uint32_t now_s, Table& table,
         TableCounters& table_counters, const lb::FlowTimeouts& timeouts, WorkerCounters& counters)
      : state_(state),
        flow_(flow),
        now_s_(now_s),
        table_(table),
        table_counters_(table_counters),
        timeouts_(timeouts),
        counters_(counters) {}

  Selection Select(const Key& key) {
    if (auto* entry = table_.Find(key, flow_.hash)) return FromEntry(*entry);
    const BackendId backend = Schedule(state_, flow_);
    if (!backend.valid()) return {};
    const Selection selection = {.backend = backend, .rung = Enter(key, backend)};
    if (flow_.protocol == net::kProtocolUdp || (flow_.tcp_flags & net::kTcpSyn) != 0) {
      counters_.vips[flow_.vip.index()].new_flows.Increment();
    }
    return selection;
  }

 private:
  template <typename Entry>
  Selection FromEntry(Entry& entry) {
    const BackendId current = entry.value.backend;
    const bool exists = BackendExists(*state_.backends, entry.value);
    if (exists && !lb::BeginsAnew(entry.state(), flow_.tcp_flags)) {
      const lb::FlowState next = lb::NextState(entry.state(), flow_.tcp_flags);
      // Most packets change nothing; the line is written once a second and at a change of state.
      if (entry.value.last_seen_s != static_cast<uint16_t>(now_s_)) {
        entry.value.last_seen_s = static_cast<uint16_t>(now_s_);
      }
      if (next != entry.state()) entry.set_state(next);
      return {.backend = current, .rung = Rung::kConnectionTable};
    }
    const BackendId backend = Schedule(state_, flow_);
    if (!backend.valid()) return {};
    counters_.backends[current.index()].flows_ended.Increment();
    table_counters_.replaced.Increment();
    if (exists) {
      counters_.vips[flow_.vip.index()].new_flows.Increment();
    } else {
      counters_.rescheduled.Increment();
    }
    Assign(entry, backend, state_, flow_, now_s_, counters_);
    return {.backend = backend, .rung = Rung::kScheduler};
  }

  // Enters the flow into the table where it should be and fits.
  Rung Enter(const Key& key, BackendId backend) {
    if (flow_.protocol == net::kProtocolTcp && (flow_.tcp_flags & net::kTcpRst) != 0) return Rung::kScheduler;
    const auto on_end = [this](const auto& ended) {
      table_counters_.expired.Increment();
      counters_.backends[ended.value.backend.index()].flows_ended.Increment();
    };
    auto* entry = table_.Insert(key, flow_.hash, now_s_, timeouts_, on_end);
    if (entry == nullptr) {
      table_counters_.insert_full.Increment();
      return Rung::kSchedulerNoEntry;
    }
    table_counters_.inserted.Increment();
    Assign(*entry, backend, state_, flow_, now_s_, counters_);
    return Rung::kScheduler;
  }

  const ForwardingState& state_;
  const FlowView& flow_;
  const uint32_t now_s_;
  Table& table_;
  TableCounters& table_counters_;
  const lb::FlowTimeouts& timeouts_;
  WorkerCounters& counters_;
};

}  // namespace

Selection SelectBackend(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                        WorkerCounters& counters) {
  Selection selection;
  if (flow.family == net::Family::kIpv4) {
    selection = Ladder<lb::ConnectionTableV4, lb::ConnectionKeyV4>(state, flow, now_s, tables.v4(), counters.table_v4,
                                                                   tables.timeouts(), counters)
                    .Select(KeyV4(flow));
  } else {
    selection = Ladder<lb::ConnectionTableV6, lb::ConnectionKeyV6>(state, flow, now_s, tables.v6(), counters.table_v6,
                                                                   tables.timeouts(), counters)
                    .Select(KeyV6(flow));
  }
  counters.rungs[static_cast<size_t>(selection.rung)].Increment();
  return selection;
}

}  // namespace sluice::fwd
