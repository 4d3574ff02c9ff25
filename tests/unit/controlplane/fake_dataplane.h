#ifndef SLUICE_TESTS_UNIT_CONTROLPLANE_FAKE_DATAPLANE_H_
#define SLUICE_TESTS_UNIT_CONTROLPLANE_FAKE_DATAPLANE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "dataplane/fwd/interfaces.h"

namespace sluice {

// A data plane that takes what it is given and says what it is told to say.
class FakeDataplane : public fwd::StateSink, public fwd::DataplaneView {
 public:
  absl::Status Publish(std::shared_ptr<const fwd::ForwardingState> state) override {
    const std::lock_guard lock(publishing_);
    if (!next_publish.ok()) return next_publish;
    states.push_back(std::move(state));
    return absl::OkStatus();
  }

  fwd::PacketTotals Totals() const override { return totals; }
  std::vector<fwd::WorkerStats> Workers() const override { return workers; }
  std::vector<fwd::PortStats> Ports() const override { return ports; }
  fwd::VipStats Vip(VipId id) const override { return Find(vips, id); }
  fwd::BackendStats Backend(BackendId id) const override { return Find(backends, id); }
  fwd::NextHop NextHopOf(BackendId) const override { return next_hop; }
  uint64_t GenerationInUse() const override { return generation_in_use; }
  bool SweptSince(uint64_t generation) const override { return swept_generation >= generation; }

  // As long as it is held, publications wait.
  std::unique_lock<std::mutex> Hold() { return std::unique_lock(publishing_); }

  const fwd::ForwardingState& newest() const { return *states.back(); }

  absl::Status next_publish;
  std::vector<std::shared_ptr<const fwd::ForwardingState>> states;
  fwd::PacketTotals totals;
  std::vector<fwd::WorkerStats> workers;
  std::vector<fwd::PortStats> ports;
  std::map<VipId, fwd::VipStats> vips;
  std::map<BackendId, fwd::BackendStats> backends;
  fwd::NextHop next_hop;
  uint64_t generation_in_use = 0;
  // Workers have swept under a state at least this new.
  uint64_t swept_generation = 0;

 private:
  std::mutex publishing_;

  template <typename Map, typename Key>
  static typename Map::mapped_type Find(const Map& map, Key key) {
    const auto it = map.find(key);
    return it == map.end() ? typename Map::mapped_type() : it->second;
  }
};

}  // namespace sluice

#endif  // SLUICE_TESTS_UNIT_CONTROLPLANE_FAKE_DATAPLANE_H_
