#ifndef SLUICE_CONTROLPLANE_METRICS_RELOAD_STATUS_H_
#define SLUICE_CONTROLPLANE_METRICS_RELOAD_STATUS_H_

#include <atomic>

namespace sluice::metrics {

// How the last reading of the configuration file went. Written by the main thread, read by scrapes.
struct ReloadStatus {
  std::atomic<bool> last_successful = false;
  // Seconds since 1970; 0: never.
  std::atomic<double> last_success_unix_s = 0;
};

}  // namespace sluice::metrics

#endif  // SLUICE_CONTROLPLANE_METRICS_RELOAD_STATUS_H_
