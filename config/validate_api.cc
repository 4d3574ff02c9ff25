#include "config/validate_api.h"

#include <set>

#include "config/text.h"

namespace sluice::config {
namespace {

constexpr uint16_t kUsualPort = 9106;

bool IsAbsolute(std::string_view path) { return path.size() > 1 && path.front() == '/'; }

void CheckPath(const std::string& field, const std::string& path, ProblemList* problems) {
  if (!IsAbsolute(path)) problems->Add(field, Cat(Quote(path), " is no absolute path; write it from the root"));
}

void CheckTcp(const ApiTcpConfig& tcp, ProblemList* problems) {
  const std::string field = "node.api.tcp";
  if (const auto wrong = CheckListen(tcp.listen, kUsualPort)) problems->Add(field + ".listen", *wrong);
  const bool has_files = !tcp.certificate.empty() || !tcp.key.empty() || !tcp.client_ca.empty();
  if (tcp.insecure) {
    if (has_files) {
      problems->Add(field + ".insecure",
                    "true contradicts the certificates that are given; remove it to use TLS, or remove them");
    }
    return;
  }
  if (!has_files) {
    problems->Add(field, Cat("would listen on ", Quote(tcp.listen),
                             " without TLS; give certificate, key and client_ca, or `insecure: true` if everybody who "
                             "reaches it may change everything"));
    return;
  }
  const auto check = [&](std::string_view key, const std::string& path) {
    if (path.empty()) {
      problems->Add(KeyPath(field, key), "is missing; TLS needs certificate, key and client_ca, each a PEM file");
    } else {
      CheckPath(KeyPath(field, key), path, problems);
    }
  };
  check("certificate", tcp.certificate);
  check("key", tcp.key);
  check("client_ca", tcp.client_ca);
}

}  // namespace

void CheckApi(const NodeConfig& node, ProblemList* problems) {
  problems->AddIf("node.api.listen", CheckApiListen(node.api.listen));
  CheckPath("node.state_directory", node.state_directory, problems);
  if (!node.api.audit_log.empty()) CheckPath("node.api.audit_log", node.api.audit_log, problems);
  if (node.api.tcp != ApiTcpConfig()) {
    CheckTcp(node.api.tcp, problems);
    if (node.api.tcp.listen == node.api.listen) {
      problems->Add("node.api.tcp.listen",
                    Cat(Quote(node.api.tcp.listen), " is node.api.listen too; give another port"));
    }
  }
  std::set<std::string> names;
  for (size_t i = 0; i < node.api.roles.size(); ++i) {
    const ApiRoleConfig& role = node.api.roles[i];
    const std::string field = IndexPath("node.api.roles", i);
    if (role.name.empty()) problems->Add(field + ".name", "is empty; give a name that is in the clients' certificates");
    if (!names.insert(role.name).second) {
      problems->Add(field + ".name", Cat(Quote(role.name), " has a role already; give each name one"));
    }
    if (!role.vips.empty() && role.role != Role::kOperator) {
      problems->Add(field + ".vips", Cat("limits operators only, and ", Quote(role.name), " is ", RoleName(role.role),
                                         "; remove it or change the role"));
    }
  }
}

}  // namespace sluice::config
