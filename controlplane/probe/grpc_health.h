#ifndef SLUICE_CONTROLPLANE_PROBE_GRPC_HEALTH_H_
#define SLUICE_CONTROLPLANE_PROBE_GRPC_HEALTH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The two messages of grpc.health.v1 as they are on the wire (github.com/grpc/grpc: doc/health-checking.md, and
// doc/PROTOCOL-HTTP2.md for the five bytes before a message). gRPC's own library cannot be told which source port a
// connection is to have, so the call is made by the HTTP client that can.
namespace sluice::probe {

inline constexpr std::string_view kGrpcHealthPath = "/grpc.health.v1.Health/Check";

// HealthCheckRequest for `service`, with the length in front.
std::string GrpcHealthRequest(std::string_view service);

enum class ServingStatus : uint8_t { kUnknown = 0, kServing = 1, kNotServing = 2, kServiceUnknown = 3 };
std::string_view ServingStatusName(ServingStatus status);
// The status of a HealthCheckResponse with the length in front; nothing: it is none.
std::optional<ServingStatus> ParseGrpcHealthResponse(std::string_view bytes);

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_GRPC_HEALTH_H_
