#ifndef SLUICE_CONFIG_VALIDATE_H_
#define SLUICE_CONFIG_VALIDATE_H_

#include <cstdint>
#include <vector>

#include "config/problem.h"
#include "config/schema.h"

// The rules that a configuration must keep beyond its types; the same for a file and for an RPC, which is why problems
// name fields and not lines. The limits are in limits.h. Pure functions; any thread.
namespace sluice::config {

enum class SeedRule : uint8_t {
  kRequired,
  kMayBeEmpty,  // empty: the seed in force stays
};

// The desired state in itself.
std::vector<Problem> ValidateServices(const ServiceConfig& services, SeedRule seed = SeedRule::kRequired);

// The node part in itself.
std::vector<Problem> ValidateNode(const NodeConfig& node);

// What only both parts together can break: no VIP and no backend has, or contains, an address of the node itself, and
// full NAT has addresses to send from.
std::vector<Problem> ValidateTogether(const NodeConfig& node, const ServiceConfig& services);

// All three.
std::vector<Problem> ValidateConfig(const Config& config);

// What is allowed and yet not wise: tables that are small for their number of backends (Maglev's shares then differ
// visibly from the weights). Only for services without problems.
std::vector<Problem> AdviseServices(const ServiceConfig& services);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_VALIDATE_H_
