#ifndef SLUICE_TOOLS_SLUICECTL_TOP_H_
#define SLUICE_TOOLS_SLUICECTL_TOP_H_

#include <chrono>
#include <cstddef>
#include <string>

#include "sluice/v1/sluice.pb.h"

namespace sluice::ctl {

// All that `top` shows, of one moment.
struct TopSample {
  std::chrono::steady_clock::time_point at;
  v1::GetStatusResponse status;
  v1::ListVipsResponse vips;
  v1::ListBackendsResponse backends;
  v1::ListWorkersResponse workers;
};

struct TopScreen {
  size_t rows = 0;     // 0: as many as there are lines
  size_t columns = 0;  // 0: as wide as it gets
  bool colour = false;
};

// The screen for the time between two moments of one instance; lines, each ended.
std::string RenderTop(const TopSample& before, const TopSample& now, const TopScreen& screen);

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_TOP_H_
