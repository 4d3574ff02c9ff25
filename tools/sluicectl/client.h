#ifndef SLUICE_TOOLS_SLUICECTL_CLIENT_H_
#define SLUICE_TOOLS_SLUICECTL_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sluice/v1/sluice.grpc.pb.h"
#include "tools/sluicectl/tls_files.h"

namespace sluice::ctl {

inline constexpr const char* kDefaultServer = "unix:/run/sluice/sluiced.sock";

// "unix:/path" and "host:port" as they are; a bare absolute path is a Unix socket's.
std::string NormalizeServer(const std::string& server);

// A connection to sluiced.
class Client {
 public:
  // Connects, with TLS unless it is a Unix socket or `tls` has no CA. kUnavailable with the reason and the remedy.
  static absl::StatusOr<Client> Connect(const std::string& server, const TlsFiles& tls = {});

  // Calls a method of a stub. What the server answers keeps its code and its words.
  template <typename Stub, typename Request, typename Response>
  absl::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    return FromGrpc((StubOf(static_cast<Stub*>(nullptr)).*method)(&context, request, response));
  }

  // For calls that last; their statuses go through FromGrpc.
  v1::Inspector::Stub& inspector() { return *inspector_; }
  absl::Status FromGrpc(const grpc::Status& status) const;

 private:
  static constexpr std::chrono::seconds kCallDeadline{30};

  Client(std::string server, const std::shared_ptr<grpc::Channel>& channel)
      : server_(std::move(server)),
        inspector_(v1::Inspector::NewStub(channel)),
        manager_(v1::Manager::NewStub(channel)) {}
  v1::Inspector::Stub& StubOf(v1::Inspector::Stub*) { return *inspector_; }
  v1::Manager::Stub& StubOf(v1::Manager::Stub*) { return *manager_; }

  std::string server_;
  std::unique_ptr<v1::Inspector::Stub> inspector_;
  std::unique_ptr<v1::Manager::Stub> manager_;
};

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_CLIENT_H_
