#include "controlplane/health/load_weights.h"

#include <algorithm>
#include <cmath>

namespace sluice::health {
namespace {

// Between this share of the mean and its inverse nothing is done: measurements are noisy, and every change moves slots.
constexpr double kDeadBand = 1.1;
// The most that a weight changes by in a round.
constexpr double kStep = 1.25;
// Added to all loads: what idle servers report is noise.
constexpr double kIdle = 0.05;

}  // namespace

std::vector<uint32_t> WeighByLoad(std::span<const LoadReport> reports, uint32_t floor_percent) {
  double sum = 0;
  size_t reporting = 0;
  for (const LoadReport& report : reports) {
    if (!report.load) continue;
    sum += *report.load;
    ++reporting;
  }
  const double mean = reporting == 0 ? 0 : sum / static_cast<double>(reporting);
  std::vector<uint32_t> percents;
  uint32_t largest = 0;
  for (const LoadReport& report : reports) {
    double ratio = kStep;
    if (report.load && reporting > 1) {
      ratio = (mean + kIdle) / (*report.load + kIdle);
      if (ratio < kDeadBand && ratio > 1 / kDeadBand) ratio = 1;
    }
    const double wanted = report.percent * std::clamp(ratio, 1 / kStep, kStep);
    const auto percent = static_cast<uint32_t>(std::lround(std::clamp<double>(wanted, floor_percent, 100)));
    percents.push_back(percent);
    largest = std::max(largest, percent);
  }
  // Only the proportions count: the largest is 100, or all would sink to the floor in time.
  if (largest > 0 && largest < 100) {
    for (uint32_t& percent : percents) percent = std::max(floor_percent, percent * 100 / largest);
  }
  return percents;
}

}  // namespace sluice::health
