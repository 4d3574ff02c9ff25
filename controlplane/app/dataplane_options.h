#ifndef SLUICE_CONTROLPLANE_APP_DATAPLANE_OPTIONS_H_
#define SLUICE_CONTROLPLANE_APP_DATAPLANE_OPTIONS_H_

#include "config/schema.h"
#include "dataplane/runtime/options.h"

namespace sluice::app {

// The node part of the configuration in the data plane's words.
runtime::DataplaneOptions ToDataplaneOptions(const config::NodeConfig& node);

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_DATAPLANE_OPTIONS_H_
