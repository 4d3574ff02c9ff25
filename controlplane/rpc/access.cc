#include "controlplane/rpc/access.h"

#include <algorithm>

#include "config/problem.h"
#include "controlplane/model/text.h"

namespace sluice::rpc {
namespace {

using config::Role;
using model::Cat;
using model::PoolRecord;

// Of an operator who is limited to certain VIPs.
bool Covers(const Caller& caller, std::string_view vip) {
  return std::find(caller.vips.begin(), caller.vips.end(), vip) != caller.vips.end();
}

absl::Status Denied(const Caller& caller, std::string_view action, std::string_view why) {
  return absl::PermissionDeniedError(
      Cat(action, ": ", config::Quote(caller.user), " is ", config::RoleName(caller.role), why));
}

// Empty, or why a limited operator may not change the pool.
std::string WhyNotPool(const Caller& caller, std::string_view name, const model::Registry& registry) {
  bool used = false;
  for (const model::VipRecord& vip : *registry.vips) {
    const PoolRecord* pool = registry.FindPool(vip.desired.pool);
    const bool as_backup = pool != nullptr && pool->policy.backup == name;
    if (vip.desired.pool != name && !as_backup) continue;
    used = true;
    if (!Covers(caller, vip.desired.name)) {
      return Cat(", and the VIP ", config::Quote(vip.desired.name), " uses the pool ", config::Quote(name),
                 ", which is none of those in node.api.roles for this name");
    }
  }
  if (used) return "";
  return Cat(" of certain VIPs only, and none of them uses the pool ", config::Quote(name));
}

}  // namespace

absl::StatusOr<Caller> CallerOf(const std::vector<std::string>& names,
                                const std::vector<config::ApiRoleConfig>& roles) {
  for (const std::string& name : names) {
    for (const config::ApiRoleConfig& role : roles) {
      if (role.name == name) return Caller{name, role.role, role.vips};
    }
  }
  std::string text;
  for (const std::string& name : names) text += Cat(text.empty() ? "" : ", ", config::Quote(name));
  return absl::PermissionDeniedError(Cat("the client's certificate has ",
                                         text.empty() ? "no name" : "the names " + text,
                                         ", and node.api.roles gives none of them a role; add one there"));
}

absl::Status MayChange(const Caller& caller, std::string_view action, const Target& target,
                       const model::Registry& registry) {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  if (caller.role == Role::kViewer) return Denied(caller, action, ", who may only look; it takes operator or admin");
  if (target.kind == Target::Kind::kWhole) {
    return Denied(caller, action, ", and this replaces everything at once; it takes admin");
  }
  if (caller.vips.empty()) return absl::OkStatus();
  std::string why;
  switch (target.kind) {
    case Target::Kind::kVip:
      if (!Covers(caller, target.name)) {
        why = Cat(" of certain VIPs only, and ", config::Quote(target.name), " is none of them");
      } else if (!target.new_pool.empty()) {
        // A VIP that is given another pool puts its load on that pool's backends.
        const model::VipRecord* vip = registry.FindVip(target.name);
        if (vip == nullptr || vip->desired.pool != target.new_pool) why = WhyNotPool(caller, target.new_pool, registry);
      }
      break;
    case Target::Kind::kPool:
      why = WhyNotPool(caller, target.name, registry);
      if (why.empty() && !target.new_pool.empty()) {
        const PoolRecord* pool = registry.FindPool(target.name);
        if (pool == nullptr || pool->policy.backup != target.new_pool)
          why = WhyNotPool(caller, target.new_pool, registry);
      }
      break;
    default:
      why =
          " of certain VIPs only, and this changes which VIPs or pools there are; it takes an operator without that "
          "limit, or admin";
  }
  return why.empty() ? absl::OkStatus() : Denied(caller, action, why);
}

}  // namespace sluice::rpc
