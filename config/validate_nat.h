#ifndef SLUICE_CONFIG_VALIDATE_NAT_H_
#define SLUICE_CONFIG_VALIDATE_NAT_H_

#include "config/rules.h"
#include "config/schema.h"

namespace sluice::config {

// What full NAT sends from, a part of ValidateNode.
void CheckNatOfNode(const NodeConfig& node, ProblemList* problems);

// The same against VIPs and backends, a part of ValidateTogether.
void CheckNatTogether(const NodeConfig& node, const ServiceConfig& services, ProblemList* problems);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_VALIDATE_NAT_H_
