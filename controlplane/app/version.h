#ifndef SLUICE_CONTROLPLANE_APP_VERSION_H_
#define SLUICE_CONTROLPLANE_APP_VERSION_H_

#include <string_view>

namespace sluice::app {

// Of the project, such as "0.1.0".
std::string_view Version();

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_VERSION_H_
