#include "tools/replay/local_dataplane.h"

#include "dataplane/fwd/counter_sums.h"
#include "dataplane/fwd/resolve.h"

namespace sluice::replay {

std::shared_ptr<const fwd::ForwardingState> LocalDataplane::Resolve(const fwd::ForwardingState& state) const {
  return fwd::ResolveNextHops(
      state, [this](const net::IpAddress& address) { return next_hops_.Lookup(address); },
      next_hops_.Routes(stations_));
}

absl::Status LocalDataplane::Publish(std::shared_ptr<const fwd::ForwardingState> state) {
  state_ = Resolve(*state);
  return absl::OkStatus();
}

void LocalDataplane::Learn(const net::IpAddress& client) {
  if (state_ != nullptr && stations_.insert(client).second) state_ = Resolve(*state_);
}

fwd::PacketTotals LocalDataplane::Totals() const {
  fwd::PacketTotals totals;
  fwd::AddTotals(counters_, totals);
  totals.held = counters_.fragments_held.Value();
  return totals;
}

fwd::VipStats LocalDataplane::Vip(VipId id) const {
  fwd::VipStats stats;
  fwd::AddVip(counters_, id, stats);
  return stats;
}

fwd::BackendStats LocalDataplane::Backend(BackendId id) const {
  fwd::BackendStats stats;
  fwd::AddBackend(counters_, id, stats);
  return stats;
}

fwd::NextHop LocalDataplane::NextHopOf(BackendId id) const {
  if (state_ == nullptr || id.index() >= state_->backend_infos->size()) return {};
  return next_hops_.Lookup((*state_->backend_infos)[id.index()].address);
}

}  // namespace sluice::replay
