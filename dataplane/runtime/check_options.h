#ifndef SLUICE_DATAPLANE_RUNTIME_CHECK_OPTIONS_H_
#define SLUICE_DATAPLANE_RUNTIME_CHECK_OPTIONS_H_

#include "absl/status/status.h"
#include "dataplane/runtime/options.h"

namespace sluice::runtime {

// What can be said of options before anything is touched. The message names the field and the remedy.
absl::Status CheckOptions(const DataplaneOptions& options);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_CHECK_OPTIONS_H_
