#ifndef SLUICE_CONFIG_VALIDATE_VIPS_H_
#define SLUICE_CONFIG_VALIDATE_VIPS_H_

#include <cstddef>

#include "config/rules.h"
#include "config/schema.h"
#include "config/text.h"

namespace sluice::config {

// The rules of VIPs, a part of ValidateServices: each VIP in itself, VIPs among each other, and VIPs against pools and
// backends. `pools`: index by name.
void CheckVips(const ServiceConfig& services, const StringMap<size_t>& pools, ProblemList* problems);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_VALIDATE_VIPS_H_
