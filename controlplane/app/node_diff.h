#ifndef SLUICE_CONTROLPLANE_APP_NODE_DIFF_H_
#define SLUICE_CONTROLPLANE_APP_NODE_DIFF_H_

#include <string>
#include <vector>

#include "config/schema.h"

namespace sluice::app {

// The fields of the node part that differ, as paths such as "node.ports[0].mtu", in the order of the schema.
std::vector<std::string> DifferingNodeFields(const config::NodeConfig& running, const config::NodeConfig& wanted);

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_NODE_DIFF_H_
