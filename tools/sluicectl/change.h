#ifndef SLUICE_TOOLS_SLUICECTL_CHANGE_H_
#define SLUICE_TOOLS_SLUICECTL_CHANGE_H_

#include <functional>

#include "absl/status/status.h"
#include "tools/sluicectl/client.h"
#include "tools/sluicectl/command.h"
#include "tools/sluicectl/print.h"

namespace sluice::ctl {

// Connects, calls, and prints the answer: in the language that the command line asks for, else by `print`.
template <typename Stub, typename Request, typename Response>
absl::Status Change(Invocation& invocation,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, const std::function<void(const Response&)>& print) {
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  Response response;
  if (absl::Status status = client->Call(method, request, &response); !status.ok()) return status;
  if (invocation.json) {
    PrintMessage(response, invocation);
  } else {
    print(response);
  }
  return absl::OkStatus();
}

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_CHANGE_H_
