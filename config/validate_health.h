#ifndef SLUICE_CONFIG_VALIDATE_HEALTH_H_
#define SLUICE_CONFIG_VALIDATE_HEALTH_H_

#include "config/rules.h"
#include "config/schema.h"

namespace sluice::config {

// What validation says of the checks of pools.
void CheckHealthChecks(const ServiceConfig& services, ProblemList* problems);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_VALIDATE_HEALTH_H_
