#include "tools/replay/local_dataplane.h"

#include "dataplane/fwd/resolve.h"

namespace sluice::replay {

absl::Status LocalDataplane::Publish(std::shared_ptr<const fwd::ForwardingState> state) {
  state_ = fwd::ResolveNextHops(*state, [this](const net::IpAddress& address) { return next_hops_.Lookup(address); });
  return absl::OkStatus();
}

fwd::PacketTotals LocalDataplane::Totals() const {
  fwd::PacketTotals totals;
  totals.received = counters_.received.Value();
  totals.from_host = counters_.from_host.Value();
  totals.originated = counters_.originated.Value();
  totals.forwarded = counters_.forwarded.Value();
  totals.answered = counters_.answered.Value();
  totals.punted = counters_.punted.Value();
  totals.sent_for_host = counters_.sent_for_host.Value();
  for (size_t i = 0; i < kDropReasonCount; ++i) totals.dropped[i] = counters_.dropped[i].Value();
  return totals;
}

fwd::VipStats LocalDataplane::Vip(VipId id) const {
  const fwd::VipCounters& c = counters_.vips[id.index()];
  return {.packets = c.packets.Value(),
          .bytes = c.bytes.Value(),
          .new_flows = c.new_flows.Value(),
          .dropped = c.dropped.Value()};
}

fwd::BackendStats LocalDataplane::Backend(BackendId id) const {
  const fwd::BackendCounters& c = counters_.backends[id.index()];
  return {.packets = c.packets.Value(),
          .bytes = c.bytes.Value(),
          .flows_started = c.flows_started.Value(),
          .flows_ended = c.flows_ended.Value()};
}

fwd::NextHop LocalDataplane::NextHopOf(BackendId id) const {
  if (state_ == nullptr || id.index() >= state_->backend_infos->size()) return {};
  return next_hops_.Lookup((*state_->backend_infos)[id.index()].address);
}

}  // namespace sluice::replay
