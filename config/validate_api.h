#ifndef SLUICE_CONFIG_VALIDATE_API_H_
#define SLUICE_CONFIG_VALIDATE_API_H_

#include "config/rules.h"
#include "config/schema.h"

namespace sluice::config {

// Where the API listens, whom it lets do what, and where the state is kept.
void CheckApi(const NodeConfig& node, ProblemList* problems);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_VALIDATE_API_H_
