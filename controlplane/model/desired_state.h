#ifndef SLUICE_CONTROLPLANE_MODEL_DESIRED_STATE_H_
#define SLUICE_CONTROLPLANE_MODEL_DESIRED_STATE_H_

#include <functional>
#include <string>
#include <vector>

#include "config/schema.h"

// What an operator wants. The file and the API exchange the same values, so the model takes them as they are.
namespace sluice::model {

using DesiredState = config::ServiceConfig;
using DesiredPool = config::PoolConfig;
using DesiredBackend = config::BackendConfig;
using DesiredVip = config::VipConfig;
using Protocol = config::Protocol;
using ForwardingMode = config::ForwardingMode;
using config::ModeName;
using config::ProtocolName;

// One thing that is wrong with a desired state.
struct Complaint {
  std::string field;    // "services.pools[0].backends[1].weight"
  std::string message;  // what is wrong, and the remedy
};

// Says what is wrong with a desired state; nothing: it is valid. One function serves the file, the API and the model
// (config/validate.h); the composition root passes it in.
using Validator = std::function<std::vector<Complaint>(const DesiredState&)>;

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_DESIRED_STATE_H_
