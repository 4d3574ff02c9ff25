#ifndef SLUICE_DATAPLANE_RUNTIME_EAL_LOG_H_
#define SLUICE_DATAPLANE_RUNTIME_EAL_LOG_H_

#include <string>

#include "absl/status/status.h"

namespace sluice::runtime {

// Sends DPDK's messages of level warning and above to our log from now on; once, before rte_eal_init.
absl::Status CaptureEalLog();

// Collects what DPDK says while it lives, so that an error can name the reason that DPDK only logs. One at a time.
class EalLogExcerpt {
 public:
  enum class Mode { kLogToo, kCollectOnly };
  explicit EalLogExcerpt(Mode mode = Mode::kLogToo);
  ~EalLogExcerpt();
  EalLogExcerpt(const EalLogExcerpt&) = delete;
  EalLogExcerpt& operator=(const EalLogExcerpt&) = delete;

  // " (DPDK says: ...)" with the first messages, or nothing.
  std::string Text() const;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_EAL_LOG_H_
