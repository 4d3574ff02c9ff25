#ifndef SLUICE_CONFIG_LOAD_H_
#define SLUICE_CONFIG_LOAD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "config/schema.h"

// Reads configuration files. What comes back is valid in itself (validate.h). All problems of a file are found in one
// go; the error is kInvalidArgument and its message has one line for each problem, in the order of the file:
//
//   FILE:LINE:COLUMN: FIELD: what is wrong with which value; what to do about it
//
// A file that cannot be read gives the code of its errno (kNotFound, kPermissionDenied, ...). No exceptions come out,
// whatever the bytes. Any thread.
namespace sluice::config {

// A complete configuration, with `node` and `services`: what sluiced reads.
absl::StatusOr<Config> LoadFile(const std::string& path);
// `file_name` is for the messages.
absl::StatusOr<Config> LoadText(std::string_view text, std::string_view file_name);

// The desired state alone, under `services`: what `sluicectl apply` reads. A `node` part may stand beside it and is not
// looked at. The seed may be missing; it is empty then, which stands for the one in force.
absl::StatusOr<ServiceConfig> LoadServicesFile(const std::string& path);
absl::StatusOr<ServiceConfig> LoadServicesText(std::string_view text, std::string_view file_name);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_LOAD_H_
