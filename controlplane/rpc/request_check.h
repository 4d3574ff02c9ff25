#ifndef SLUICE_CONTROLPLANE_RPC_REQUEST_CHECK_H_
#define SLUICE_CONTROLPLANE_RPC_REQUEST_CHECK_H_

#include <cstddef>

#include "absl/status/status.h"

namespace google::protobuf {
class Message;
}

namespace sluice::rpc {

// Longer than any text that has a meaning.
inline constexpr size_t kMaxTextBytes = 4096;

// What is wrong with any request in the same way, whatever it asks for: fields and enumerators that this version does
// not know, which would else be a wish that nobody hears; texts beyond kMaxTextBytes; and control characters, which
// would end up in answers, logs and terminals. kInvalidArgument names the field.
absl::Status CheckRequest(const google::protobuf::Message& request);

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_REQUEST_CHECK_H_
