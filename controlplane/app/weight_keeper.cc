#include "controlplane/app/weight_keeper.h"

#include <optional>

#include "controlplane/health/load_weights.h"
#include "dataplane/base/log.h"

namespace sluice::app {
namespace {

constexpr std::chrono::milliseconds kWeightLook(500);

}  // namespace

WeightKeeper::WeightKeeper(reconcile::Reconciler& reconciler, const model::CheckStatusSource& checks)
    : reconciler_(reconciler),
      checks_(checks),
      next_round_(std::chrono::steady_clock::now() + health::kLoadRound),
      thread_("sluice-weights", kWeightLook, [this] { Look(); }) {}

void WeightKeeper::Look() {
  std::vector<model::LoadPercent> loads;
  if (const auto now = std::chrono::steady_clock::now(); now >= next_round_) {
    next_round_ = now + health::kLoadRound;
    loads = Loads();
  }
  if (const absl::Status status = reconciler_.AdvanceWeights(loads); !status.ok()) {
    SLUICE_LOG(kWarning) << "weights: " << status.message();
  }
}

std::vector<model::LoadPercent> WeightKeeper::Loads() const {
  std::vector<model::LoadPercent> loads;
  const std::shared_ptr<const model::Registry> registry = reconciler_.Current().registry;
  for (const auto& pool : registry->pools) {
    if (!pool->policy.weight_by_load) continue;
    std::vector<health::LoadReport> reports;
    for (const model::BackendRecord& backend : pool->backends) {
      const std::optional<model::CheckStatus> status = checks_.StatusOf(backend.id);
      reports.push_back({status ? status->load : std::nullopt, backend.weight_use.load_percent});
    }
    const std::vector<uint32_t> percents = health::WeighByLoad(reports, pool->policy.weight_floor_percent);
    for (size_t i = 0; i < percents.size(); ++i) {
      const model::BackendRecord& backend = pool->backends[i];
      loads.push_back({backend.id, backend.generation, percents[i]});
    }
  }
  return loads;
}

}  // namespace sluice::app
