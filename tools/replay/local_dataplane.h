#ifndef SLUICE_TOOLS_REPLAY_LOCAL_DATAPLANE_H_
#define SLUICE_TOOLS_REPLAY_LOCAL_DATAPLANE_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dataplane/fwd/interfaces.h"
#include "dataplane/fwd/worker_counters.h"
#include "tools/replay/next_hops.h"

namespace sluice::replay {

// What the control plane needs of a data plane, for one that runs on the caller's thread: a published state is in use
// at once, and its next hops are those of `next_hops`. One thread.
class LocalDataplane final : public fwd::StateSink, public fwd::DataplaneView {
 public:
  LocalDataplane(NextHops next_hops, uint32_t max_vips, uint32_t max_backends)
      : next_hops_(std::move(next_hops)), counters_(max_vips, max_backends) {}

  // Null before the first Publish.
  const fwd::ForwardingState* state() const { return state_.get(); }
  fwd::WorkerCounters& counters() { return counters_; }
  const fwd::WorkerCounters& counters() const { return counters_; }

  absl::Status Publish(std::shared_ptr<const fwd::ForwardingState> state) override;
  // A packet was for a client on link that is not known: from now on it is, as if the host's kernel had asked for it.
  void Learn(const net::IpAddress& client);

  fwd::PacketTotals Totals() const override;
  std::vector<fwd::WorkerStats> Workers() const override { return {}; }
  std::vector<fwd::PortStats> Ports() const override { return {}; }
  fwd::VipStats Vip(VipId id) const override;
  fwd::BackendStats Backend(BackendId id) const override;
  fwd::NextHop NextHopOf(BackendId id) const override;
  uint64_t GenerationInUse() const override { return state_ != nullptr ? state_->generation : 0; }
  bool SweptSince(uint64_t generation) const override { return counters_.swept_generation.Value() >= generation; }

 private:
  std::shared_ptr<const fwd::ForwardingState> Resolve(const fwd::ForwardingState& state) const;

  const NextHops next_hops_;
  std::set<net::IpAddress> stations_;  // clients on link
  fwd::WorkerCounters counters_;
  std::shared_ptr<const fwd::ForwardingState> state_;
};

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_LOCAL_DATAPLANE_H_
