#ifndef SLUICE_CONTROLPLANE_RPC_CONVERT_H_
#define SLUICE_CONTROLPLANE_RPC_CONVERT_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "config/schema.h"

namespace sluice::v1 {
class Backend;
class DesiredState;
class Pool;
class Vip;
}  // namespace sluice::v1

// Between the API's messages and the configuration's values, both ways; for the server and for sluicectl. Only what a
// message can hold and a value cannot (text that is no address, an enumerator of a newer client, a port beyond 16 bits)
// is an error here; what makes sense is config/validate.h's matter.
namespace sluice::rpc {

// kInvalidArgument with a line for each problem: "services.pools[0].backends[1].address: ...", the words of the file.
absl::StatusOr<config::ServiceConfig> FromProto(const v1::DesiredState& message);
// `field` begins the paths in messages, such as "backend".
absl::StatusOr<config::BackendConfig> FromProto(const v1::Backend& message, std::string_view field);
absl::StatusOr<config::PoolConfig> FromProto(const v1::Pool& message, std::string_view field);
absl::StatusOr<config::VipConfig> FromProto(const v1::Vip& message, std::string_view field);

// With the seed: what a client sends.
void ToProto(const config::ServiceConfig& services, v1::DesiredState* message);
void ToProto(const config::BackendConfig& backend, v1::Backend* message);
void ToProto(const config::PoolConfig& pool, v1::Pool* message);
void ToProto(const config::VipConfig& vip, v1::Vip* message);

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_CONVERT_H_
