#include "controlplane/app/version.h"

namespace sluice::app {

std::string_view Version() { return SLUICE_VERSION; }

}  // namespace sluice::app
