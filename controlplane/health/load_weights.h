#ifndef SLUICE_CONTROLPLANE_HEALTH_LOAD_WEIGHTS_H_
#define SLUICE_CONTROLPLANE_HEALTH_LOAD_WEIGHTS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sluice::health {

// A backend of a pool whose weights follow the reports of load.
struct LoadReport {
  std::optional<double> load;  // smoothed; 1: fully used. Nothing: it reports none
  uint32_t percent = 100;      // of its weight that counts so far
};

// How often weights are looked at.
inline constexpr std::chrono::seconds kLoadRound(5);

// What is to count of each weight from now on. Backends are compared with the mean of their pool: who has a tenth more
// is given less, who has a tenth less gets back, by at most a quarter in one round and never less than `floor_percent`.
// That is an integrator: it rests when loads are alike, whatever made them differ. Who reports nothing goes back to all
// of its weight, as do all where fewer than two report.
std::vector<uint32_t> WeighByLoad(std::span<const LoadReport> reports, uint32_t floor_percent);

}  // namespace sluice::health

#endif  // SLUICE_CONTROLPLANE_HEALTH_LOAD_WEIGHTS_H_
