#ifndef SLUICE_CONFIG_DUMP_HEALTH_H_
#define SLUICE_CONFIG_DUMP_HEALTH_H_

#include <string>

#include "config/health_check.h"

namespace sluice::config {

// The check as the value of `health_check`, on one line; what has its usual value is left out.
std::string DumpHealthCheck(const HealthCheckConfig& check);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_DUMP_HEALTH_H_
