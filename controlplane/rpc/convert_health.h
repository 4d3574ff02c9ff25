#ifndef SLUICE_CONTROLPLANE_RPC_CONVERT_HEALTH_H_
#define SLUICE_CONTROLPLANE_RPC_CONVERT_HEALTH_H_

#include <string>
#include <vector>

#include "config/problem.h"
#include "config/schema.h"
#include "controlplane/model/check_status.h"
#include "sluice/v1/types.pb.h"

// Health checks between the API's messages and the configuration's values; a part of convert.h.
namespace sluice::rpc {

config::HealthCheckConfig ReadHealthCheck(const v1::HealthCheck& message, const std::string& field,
                                          std::vector<config::Problem>& problems);
// Of the checks of a backend; nothing is filled in where it is not checked.
void AddCheck(const model::CheckStatusSource* checks, BackendId id, v1::BackendStatus* message);
void ToProto(const config::HealthCheckConfig& check, v1::HealthCheck* message);

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_CONVERT_HEALTH_H_
