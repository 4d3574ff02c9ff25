#ifndef SLUICE_CONTROLPLANE_RPC_ACCESS_H_
#define SLUICE_CONTROLPLANE_RPC_ACCESS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/schema.h"
#include "controlplane/model/registry.h"

// Who may do what: pure decisions over names and the registry.
namespace sluice::rpc {

// A client of the API.
struct Caller {
  std::string user;  // for the history and the audit log
  config::Role role = config::Role::kViewer;
  std::vector<std::string> vips;  // those that an operator is limited to; empty: no limit
};

// The client with these names in its certificate. kPermissionDenied: none of them has a role.
absl::StatusOr<Caller> CallerOf(const std::vector<std::string>& names, const std::vector<config::ApiRoleConfig>& roles);

// What a call changes.
struct Target {
  enum class Kind : uint8_t {
    kInventory,  // which VIPs and pools there are: admins, and operators without a limit
    kWhole,      // the whole state at once: admins
    kVip,        // one VIP
    kPool,       // backends of one pool
  };
  Kind kind = Kind::kWhole;
  std::string_view name = {};
  // Of a VIP that is changed: the pool that it will have; of a pool: its backup.
  std::string_view new_pool = {};
};

// kPermissionDenied, saying who would be allowed to. A limited operator may change a pool when all VIPs that use it,
// and at least one, are among those in the limit.
absl::Status MayChange(const Caller& caller, std::string_view action, const Target& target,
                       const model::Registry& registry);

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_ACCESS_H_
