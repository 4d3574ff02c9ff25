#include "tools/sluicectl/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <tuple>

#include "config/text.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/tls_diagnosis.h"

namespace sluice::ctl {
namespace {

using config::Cat;

constexpr std::chrono::seconds kConnectDeadline(5);
// A list of all backends that the limits allow.
constexpr int kMaxAnswerBytes = 64 << 20;
constexpr std::string_view kUnixScheme = "unix:";

absl::Status CannotReach(const std::string& server, std::string_view reason, std::string_view remedy) {
  return Failure(kExitUnreachable, absl::StatusCode::kUnavailable,
                 Cat("cannot reach sluiced at ", server, ": ", reason, "; ", remedy));
}

// gRPC says only that it could not connect; trying it ourselves tells why.
absl::Status DiagnoseUnix(const std::string& server) {
  const std::string path = server.substr(kUnixScheme.size());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Failure(kExitUsage, absl::StatusCode::kInvalidArgument,
                   Cat("--server: the path of a Unix socket has 1 to ", sizeof(address.sun_path) - 1, " bytes, not ",
                       path.size()));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int error = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  close(fd);
  switch (error) {
    case 0:
      return absl::OkStatus();
    case ENOENT:
      return CannotReach(server, "there is no such socket",
                         "is sluiced running? Its log says where it listens (\"api: listening on\"); name that with "
                         "--server or SLUICE_SERVER");
    case ECONNREFUSED:
      return CannotReach(server, "nobody listens on the socket", "sluiced has ended; start it again");
    case EACCES:
      return CannotReach(server, "permission denied", "run sluicectl as root or as a member of the socket's group");
    default:
      return CannotReach(server, std::strerror(error), "is sluiced running there?");
  }
}

absl::StatusOr<std::string> ReadPem(std::string_view flag, const std::string& path) {
  std::ifstream file(path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (file && !text.empty()) return text;
  return Failure(kExitUsage, absl::StatusCode::kInvalidArgument,
                 Cat("--", flag, ": cannot read ", path, ": ", std::strerror(errno == 0 ? EINVAL : errno)));
}

// What to encrypt with; plain without a CA.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(const TlsFiles& files) {
  if (files.ca.empty()) return grpc::InsecureChannelCredentials();
  if (files.certificate.empty() || files.key.empty()) {
    return UsageError("--tls-ca needs --tls-cert and --tls-key too: sluiced asks its clients for a certificate");
  }
  grpc::SslCredentialsOptions options;
  for (const auto& [flag, path, out] : {std::tuple{"tls-ca", &files.ca, &options.pem_root_certs},
                                        std::tuple{"tls-cert", &files.certificate, &options.pem_cert_chain},
                                        std::tuple{"tls-key", &files.key, &options.pem_private_key}}) {
    absl::StatusOr<std::string> text = ReadPem(flag, *path);
    if (!text.ok()) return text.status();
    *out = *std::move(text);
  }
  return grpc::SslCredentials(options);
}

}  // namespace

std::string NormalizeServer(const std::string& server) {
  return server.starts_with('/') ? Cat(kUnixScheme, server) : server;
}

absl::StatusOr<Client> Client::Connect(const std::string& server, const TlsFiles& tls) {
  if (server.starts_with(kUnixScheme)) {
    if (absl::Status status = DiagnoseUnix(server); !status.ok()) return status;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  // sluiced is on this machine: a proxy of the environment is not meant for it.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const bool encrypts = !tls.ca.empty() && !server.starts_with(kUnixScheme);
  if (encrypts && !tls.server_name.empty()) arguments.SetSslTargetNameOverride(tls.server_name);
  const auto credentials = Credentials(encrypts ? tls : TlsFiles());
  if (!credentials.ok()) return credentials.status();
  const std::shared_ptr<grpc::Channel> channel = grpc::CreateCustomChannel(server, *credentials, arguments);
  const auto deadline = std::chrono::system_clock::now() + kConnectDeadline;
  for (;;) {
    const grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY) return Client(server, channel);
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
      if (!encrypts) {
        return CannotReach(server, "the connection was refused",
                           "is sluiced running and listening there, and without TLS (--tls-ca)?");
      }
      const TlsDiagnosis found = DiagnoseTls(server, tls);
      if (!found.reason.empty()) return CannotReach(server, found.reason, found.remedy);
      return CannotReach(server, "no TLS connection could be made",
                         "does it listen there, does --tls-ca sign its certificate, and does the certificate have "
                         "the server's name (--tls-server-name)?");
    }
    if (!channel->WaitForStateChange(state, deadline)) {
      return CannotReach(server, Cat("no answer within ", kConnectDeadline.count(), " s"), "is that sluiced's API?");
    }
  }
}

absl::Status Client::FromGrpc(const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return Failure(
        kExitUnreachable, absl::StatusCode::kDeadlineExceeded,
        Cat("sluiced at ", server_, " did not answer within ", kCallDeadline.count(), " s; its log may say why"));
  }
  // Both enumerations are that of google.rpc.Code.
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

}  // namespace sluice::ctl
