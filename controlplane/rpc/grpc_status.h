#ifndef SLUICE_CONTROLPLANE_RPC_GRPC_STATUS_H_
#define SLUICE_CONTROLPLANE_RPC_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace sluice::rpc {

// A status travels in HTTP/2 headers, which gRPC limits to 8 KiB after escaping; one that is too long would reach the
// client as RESOURCE_EXHAUSTED without its message.
inline constexpr size_t kMaxMessageBytes = 2048;

// What the log says of a refusal: the code and the first lines of the message, so that a document with a thousand
// problems does not become a line of as many; the client is told more.
inline constexpr size_t kMaxLogBytes = 512;
inline std::string LogText(const absl::Status& status) {
  std::string text = status.ToString();
  if (text.size() <= kMaxLogBytes) return text;
  const size_t line_end = text.rfind('\n', kMaxLogBytes);
  const size_t kept = line_end == std::string::npos ? kMaxLogBytes : line_end;
  return text.substr(0, kept) + "... (" + std::to_string(text.size() - kept) + " more bytes)";
}

// The same code; the message cut at a line's end where it is too long.
inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string message(status.message());
  if (message.size() > kMaxMessageBytes) {
    const size_t line_end = message.rfind('\n', kMaxMessageBytes);
    message.resize(line_end == std::string::npos ? kMaxMessageBytes : line_end);
    message += "\n(more of the same kind; correct these first)";
  }
  // Both enumerations are that of google.rpc.Code.
  return {static_cast<grpc::StatusCode>(status.code()), message};
}

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_GRPC_STATUS_H_
