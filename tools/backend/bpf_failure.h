#ifndef SLUICE_TOOLS_BACKEND_BPF_FAILURE_H_
#define SLUICE_TOOLS_BACKEND_BPF_FAILURE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace sluice::backend {

// libbpf's messages go here instead of to standard error, from this call on: most are not for operators. Once at start.
void CaptureBpfMessages();
// What libbpf said since the last call; the verifier's log is among it.
std::string TakeBpfMessages();

// "`what`: <reason>; <remedy>" for an error number of the bpf system call or of tc.
absl::Status BpfFailure(std::string_view what, int error);

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_BPF_FAILURE_H_
