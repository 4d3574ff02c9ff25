#include "controlplane/rpc/server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "controlplane/model/text.h"
#include "controlplane/rpc/inspector.h"
#include "controlplane/rpc/listen_address.h"
#include "controlplane/rpc/manager.h"

namespace sluice::rpc {
namespace {

using model::Cat;

// The largest desired state that the limits allow takes about 4 MB.
constexpr int kMaxRequestBytes = 16 << 20;
// Calls beyond it are answered with RESOURCE_EXHAUSTED: clients cannot make threads without end.
constexpr int kMaxThreads = 256;
// Who is in the socket's group may manage the balancer; nobody else.
constexpr mode_t kSocketMode = 0660;

class GrpcServer final : public Server {
 public:
  GrpcServer(const Instance& instance, reconcile::Reconciler& reconciler, const fwd::DataplaneView& view)
      : inspector_(instance, reconciler, view), manager_(reconciler, view) {}

  ~GrpcServer() override { Stop(std::chrono::milliseconds(0)); }

  absl::Status Listen(const std::string& listen) {
    if (absl::Status status = PrepareToListen(listen); !status.ok()) return status;
    unix_path_ = std::string(UnixPath(listen));  // from here on ours to remove
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
    // Two servers on one port would take turns in answering.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.SetResourceQuota(grpc::ResourceQuota("api").SetMaxThreads(kMaxThreads));
    builder.RegisterService(&inspector_);
    builder.RegisterService(&manager_);
    // The socket must never be open to all, not even for a moment.
    const mode_t umask_before = umask(static_cast<mode_t>(~kSocketMode & 0777));
    server_ = builder.BuildAndStart();
    umask(umask_before);
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(
          Cat("api.listen: cannot listen on ", listen, "; is the address in use or not this machine's?"));
    }
    address_ = !unix_path_.empty() ? listen : Cat(listen.substr(0, listen.rfind(':')), ":", port);
    return absl::OkStatus();
  }

  void Stop(std::chrono::milliseconds deadline) override {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now() + deadline);
    server_->Wait();
    server_.reset();
    if (!unix_path_.empty()) unlink(unix_path_.c_str());
  }

  const std::string& address() const override { return address_; }

 private:
  Inspector inspector_;
  Manager manager_;
  std::unique_ptr<grpc::Server> server_;
  std::string unix_path_;
  std::string address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const std::string& listen, const Instance& instance,
                                                      reconcile::Reconciler& reconciler,
                                                      const fwd::DataplaneView& view) {
  auto server = std::make_unique<GrpcServer>(instance, reconciler, view);
  if (absl::Status status = server->Listen(listen); !status.ok()) return status;
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace sluice::rpc
