#ifndef SLUICE_CONFIG_DUMP_H_
#define SLUICE_CONFIG_DUMP_H_

#include <string>

#include "config/schema.h"

namespace sluice::config {

// The desired state as a YAML document that LoadServicesText reads back to an equal value. Every value is written, also
// where it is the default, so that a dump keeps its meaning; what is unset is left out, as is an empty seed. `services`
// must be valid.
std::string DumpServices(const ServiceConfig& services);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_DUMP_H_
