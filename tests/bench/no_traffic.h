#ifndef SLUICE_TESTS_BENCH_NO_TRAFFIC_H_
#define SLUICE_TESTS_BENCH_NO_TRAFFIC_H_

#include <vector>

#include "dataplane/fwd/interfaces.h"

namespace sluice::bench {

// A data plane that says nothing to what asks it, but the one thing that reconciling depends on: whether the ids of
// removed backends may be given out again.
class NoTraffic final : public fwd::DataplaneView {
 public:
  explicit NoTraffic(bool swept) : swept_(swept) {}
  fwd::PacketTotals Totals() const override { return {}; }
  std::vector<fwd::WorkerStats> Workers() const override { return {}; }
  std::vector<fwd::PortStats> Ports() const override { return {}; }
  fwd::VipStats Vip(VipId) const override { return {}; }
  fwd::BackendStats Backend(BackendId) const override { return {}; }
  fwd::NextHop NextHopOf(BackendId) const override { return {}; }
  uint64_t GenerationInUse() const override { return 0; }
  bool SweptSince(uint64_t) const override { return swept_; }

 private:
  const bool swept_;
};

}  // namespace sluice::bench

#endif  // SLUICE_TESTS_BENCH_NO_TRAFFIC_H_
