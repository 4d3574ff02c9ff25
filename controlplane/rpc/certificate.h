#ifndef SLUICE_CONTROLPLANE_RPC_CERTIFICATE_H_
#define SLUICE_CONTROLPLANE_RPC_CERTIFICATE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace sluice::rpc {

// When the first certificate in a PEM file ends, in seconds since 1970. gRPC serves what the file has, ended or not,
// and says nothing. Errors name the file. Any thread.
absl::StatusOr<int64_t> CertificateExpiry(const std::string& path);

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_CERTIFICATE_H_
