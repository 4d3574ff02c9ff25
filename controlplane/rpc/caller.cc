#include "controlplane/rpc/caller.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <string_view>

namespace sluice::rpc {

absl::StatusOr<Caller> Identify(const grpc::ServerContext& context, const config::ApiConfig& api) {
  const std::string peer = context.peer();
  if (peer.starts_with("unix:")) return Caller{"local", config::Role::kAdmin, {}};
  const auto auth = context.auth_context();
  std::vector<std::string> names;
  bool is_tls = false;
  if (auth != nullptr) {
    for (const grpc::string_ref& type : auth->FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME)) {
      is_tls = is_tls || std::string_view(type.data(), type.size()) == GRPC_TLS_TRANSPORT_SECURITY_TYPE ||
               std::string_view(type.data(), type.size()) == GRPC_SSL_TRANSPORT_SECURITY_TYPE;
    }
    for (const char* property : {GRPC_X509_SAN_PROPERTY_NAME, GRPC_X509_CN_PROPERTY_NAME}) {
      for (const grpc::string_ref& name : auth->FindPropertyValues(property)) {
        names.emplace_back(name.data(), name.size());
      }
    }
  }
  // Where only TLS can come from, nobody is let in who does not seem to have it.
  const bool plain_tcp = api.tcp.insecure || !api.listen.starts_with("unix:");
  if (is_tls || !plain_tcp) return CallerOf(names, api.roles);
  const bool loopback = peer.starts_with("ipv4:127.") || peer.starts_with("ipv6:%5B::1%5D");
  return Caller{loopback ? "loopback" : "anonymous", config::Role::kAdmin, {}};
}

}  // namespace sluice::rpc
