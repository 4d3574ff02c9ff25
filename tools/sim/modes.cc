#include "tools/sim/modes.h"

#include <algorithm>

#include "tools/sim/baselines.h"

namespace sluice::sim {
namespace {

struct Baseline {
  const char* name;
  std::unique_ptr<Router> (*make)();
};
constexpr std::array<Baseline, 5> kBaselines = {{
    {"mod-n", [] { return MakeModN(); }},
    {"maglev", [] { return MakePlainMaglev(false); }},
    {"maglev+second-chance", [] { return MakePlainMaglev(true); }},
    {"rendezvous", [] { return MakeRendezvous(false); }},
    {"rendezvous+second-chance", [] { return MakeRendezvous(true); }},
}};

}  // namespace

std::vector<std::string> ModeNames() {
  std::vector<std::string> names(kLadderModes.begin(), kLadderModes.end());
  for (const Baseline& baseline : kBaselines) names.emplace_back(baseline.name);
  return names;
}

std::vector<std::unique_ptr<Router>> MakeRouters(const std::string& mode, const WorkloadOptions& workload,
                                                 SelectFunction select) {
  std::vector<std::unique_ptr<Router>> routers;
  for (const Baseline& baseline : kBaselines) {
    if (mode == baseline.name) routers.push_back(baseline.make());
  }
  if (!routers.empty()) return routers;
  for (const Definition definition : {kUp, kDrain}) {
    routers.push_back(MakeLadder({.mode = mode,
                                  .definition = definition,
                                  .directors = workload.directors,
                                  .connections = workload.connections,
                                  .select = select}));
  }
  return routers;
}

bool IsMode(const std::string& text) {
  const std::vector<std::string> names = ModeNames();
  return std::find(names.begin(), names.end(), text) != names.end() || IsLadderMode(text);
}

}  // namespace sluice::sim
