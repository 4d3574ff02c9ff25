#include "controlplane/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/text.h"
#include "controlplane/rpc/call_timer.h"
#include "controlplane/rpc/inspector.h"
#include "controlplane/rpc/listen_address.h"
#include "controlplane/rpc/manager.h"
#include "controlplane/rpc/serving_status.h"

namespace sluice::rpc {
namespace {

using model::Cat;

// The largest desired state that the limits allow takes about 4 MB.
constexpr int kMaxRequestBytes = 16 << 20;
// Calls beyond it are answered with RESOURCE_EXHAUSTED: clients cannot make threads without end.
constexpr int kMaxThreads = 256;
// Who is in the socket's group may manage the balancer; nobody else.
constexpr mode_t kSocketMode = 0660;

// Seconds between looks at the certificates' files.
constexpr unsigned int kCertificateRefreshS = 2;

std::shared_ptr<grpc::ServerCredentials> TcpCredentials(const config::ApiTcpConfig& tcp) {
  if (tcp.insecure) return grpc::InsecureServerCredentials();
  const auto files = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      tcp.key, tcp.certificate, tcp.client_ca, kCertificateRefreshS);
  grpc::experimental::TlsServerCredentialsOptions options(files);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

class GrpcServer final : public Server {
 public:
  GrpcServer(const Instance& instance, reconcile::Reconciler& reconciler, const fwd::DataplaneView& view,
             const ServerOptions& options, std::unique_ptr<AuditLog> audit)
      : calls_(instance.calls),
        options_(options),
        audit_(std::move(audit)),
        view_(view),
        inspector_(instance, reconciler, view, options),
        manager_(reconciler, view, options, *audit_) {}

  ~GrpcServer() override { Stop(std::chrono::milliseconds(0)); }

  absl::Status Listen(const std::string& listen) {
    if (absl::Status status = PrepareToListen(listen); !status.ok()) return status;
    unix_path_ = std::string(UnixPath(listen));  // from here on ours to remove
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
    int tcp_port = 0;
    const config::ApiTcpConfig& tcp = options_.api.tcp;
    if (!tcp.listen.empty()) builder.AddListeningPort(tcp.listen, TcpCredentials(tcp), &tcp_port);
    // Two servers on one port would take turns in answering.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.SetResourceQuota(grpc::ResourceQuota("api").SetMaxThreads(kMaxThreads));
    if (calls_ != nullptr) {
      std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
      interceptors.push_back(std::make_unique<CallTimerFactory>(*calls_));
      builder.experimental().SetInterceptorCreators(std::move(interceptors));
    }
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
    if (!tcp.listen.empty() && tcp_port == 0) {
      return absl::UnavailableError(
          Cat("api.tcp.listen: cannot listen on ", tcp.listen, "; is the address in use or not this machine's?"));
    }
    serving_status_.emplace(*server_->GetHealthCheckService(), [this] {
      return options_.why_not_serving == nullptr ? fwd::AllMakeProgress(view_) : options_.why_not_serving().empty();
    });
    tcp_address_ = tcp.listen.empty() ? "" : Cat(tcp.listen.substr(0, tcp.listen.rfind(':')), ":", tcp_port);
    address_ = !unix_path_.empty() ? listen : Cat(listen.substr(0, listen.rfind(':')), ":", port);
    return absl::OkStatus();
  }

  void Stop(std::chrono::milliseconds deadline) override {
    if (server_ == nullptr) return;
    serving_status_.reset();
    if (options_.events != nullptr) options_.events->Close();  // or those who watch would use up the deadline
    server_->Shutdown(std::chrono::system_clock::now() + deadline);
    server_->Wait();
    server_.reset();
    if (!unix_path_.empty()) unlink(unix_path_.c_str());
  }

  const std::string& address() const override { return address_; }
  const std::string& tcp_address() const override { return tcp_address_; }

 private:
  model::CallStats* const calls_;
  const ServerOptions options_;
  const std::unique_ptr<AuditLog> audit_;
  const fwd::DataplaneView& view_;
  Inspector inspector_;
  Manager manager_;
  std::unique_ptr<grpc::Server> server_;
  std::optional<ServingStatus> serving_status_;
  std::string unix_path_;
  std::string address_;
  std::string tcp_address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const std::string& listen, const Instance& instance,
                                                      reconcile::Reconciler& reconciler, const fwd::DataplaneView& view,
                                                      const ServerOptions& options) {
  auto audit = AuditLog::Open(options.api.audit_log);
  if (!audit.ok()) return audit.status();
  ServerOptions all = options;
  all.api.listen = listen;
  auto server = std::make_unique<GrpcServer>(instance, reconciler, view, all, *std::move(audit));
  if (absl::Status status = server->Listen(listen); !status.ok()) return status;
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace sluice::rpc
