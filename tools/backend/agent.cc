#include "tools/backend/agent.h"

#include <net/if.h>

#include <memory>
#include <utility>

#include "config/problem.h"
#include "config/text.h"
#include "dataplane/base/log.h"
#include "tools/backend/tc_hook.h"

namespace sluice::backend {
namespace {

using config::Cat;
using config::Quote;

absl::StatusOr<std::vector<InterfaceLock>> LockAll(const std::vector<Interface>& interfaces) {
  std::vector<InterfaceLock> locks;
  for (const Interface& interface : interfaces) {
    absl::StatusOr<InterfaceLock> lock = InterfaceLock::Take(interface);
    if (!lock.ok()) return lock.status();
    locks.push_back(*std::move(lock));
  }
  return locks;
}

// Maps of the programs that are attached at the first interface that has some.
absl::StatusOr<std::vector<FileDescriptor>> OldMaps(const std::vector<Interface>& interfaces) {
  for (const Interface& interface : interfaces) {
    const absl::StatusOr<std::optional<uint32_t>> id = FindAttached(interface, Direction::kIngress);
    if (!id.ok()) return id.status();
    if (id->has_value()) return MapsOf(**id);
  }
  return std::vector<FileDescriptor>();
}

}  // namespace

absl::StatusOr<Agent> Agent::Start(const Options& options) {
  absl::StatusOr<Resolved> resolved = Resolve(options);
  if (!resolved.ok()) return resolved.status();
  absl::StatusOr<std::vector<InterfaceLock>> locks = LockAll(resolved->interfaces);
  if (!locks.ok()) return locks.status();
  const absl::StatusOr<std::vector<FileDescriptor>> old = OldMaps(resolved->interfaces);
  if (!old.ok()) return old.status();
  absl::StatusOr<Program> program = Program::Load(*old, options.cookies.vips.empty() ? 0 : options.cookies.connections);
  if (!program.ok()) return program.status();
  if (const absl::Status status = program->Fill(options, *resolved); !status.ok()) return status;
  std::vector<const Interface*> fresh;
  for (const Interface& interface : resolved->interfaces) {
    const absl::StatusOr<std::optional<uint32_t>> id = FindAttached(interface, Direction::kIngress);
    if (id.ok() && !id->has_value()) fresh.push_back(&interface);
    if (const absl::Status status = Attach(interface, *program); !status.ok()) {
      for (const Interface* each : fresh) (void)backend::Detach(*each).status();
      return status;
    }
  }
  return Agent(*std::move(program), *std::move(resolved), *std::move(locks));
}

absl::Status Agent::AttachMissing() const {
  for (const Interface& interface : resolved_.interfaces) {
    for (const Direction direction : kDirections) {
      const absl::StatusOr<std::optional<uint32_t>> id = FindAttached(interface, direction);
      if (!id.ok()) return id.status();
      const uint32_t own = ProgramId(direction == Direction::kIngress ? program_.ingress() : program_.egress());
      if (*id == own) continue;
      SLUICE_LOG(kWarning) << "interface " << Quote(interface.name)
                           << ": the programs were not there; attaching them again";
      if (const absl::Status status = Attach(interface, program_); !status.ok()) return status;
      break;
    }
  }
  return absl::OkStatus();
}

absl::Status Agent::Refresh(const Options& options, bool changed) {
  absl::StatusOr<Resolved> now = Resolve(options);
  if (!now.ok()) return now.status();
  bool same_interfaces = now->interfaces.size() == resolved_.interfaces.size();
  for (size_t i = 0; same_interfaces && i < now->interfaces.size(); ++i) {
    same_interfaces = now->interfaces[i].index == resolved_.interfaces[i].index;
  }
  if (!same_interfaces) {
    // The old locks go first: an interface that stays cannot be locked twice.
    locks_.clear();
    absl::StatusOr<std::vector<InterfaceLock>> locks = LockAll(now->interfaces);
    if (!locks.ok()) return locks.status();
    locks_ = *std::move(locks);
    for (const Interface& old : resolved_.interfaces) {
      bool stays = false;
      for (const Interface& each : now->interfaces) stays |= each.index == old.index;
      if (!stays) (void)backend::Detach(old).status();
    }
  }
  if (changed || !(*now == resolved_)) {
    if (const absl::Status status = program_.Fill(options, *now); !status.ok()) return status;
    SLUICE_LOG(kInfo) << "now " << now->addresses.size() << " addresses, " << now->vips.size() << " VIPs, "
                      << now->interfaces.size() << " interfaces";
  }
  resolved_ = *std::move(now);
  return AttachMissing();
}

void Agent::Detach() {
  for (const Interface& interface : resolved_.interfaces) {
    const absl::StatusOr<bool> done = backend::Detach(interface);
    if (!done.ok()) {
      SLUICE_LOG(kError) << std::string(done.status().message());
    }
  }
}

absl::Status DetachFrom(const std::vector<std::string>& interfaces) {
  for (const std::string& name : interfaces) {
    const absl::StatusOr<Interface> interface = FindInterface(name);
    if (!interface.ok()) return interface.status();
    const absl::StatusOr<InterfaceLock> lock = InterfaceLock::Take(*interface);
    if (!lock.ok()) return lock.status();
    const absl::StatusOr<bool> done = backend::Detach(*interface);
    if (!done.ok()) return done.status();
    if (!*done) {
      return absl::NotFoundError(
          Cat("interface ", Quote(name), ": sluice-backend is not attached; see `sluice-backend status`"));
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> AttachedInterfaces() {
  std::vector<std::string> names;
  struct if_nameindex* all = if_nameindex();
  if (all == nullptr) return names;
  for (struct if_nameindex* each = all; each->if_index != 0; ++each) {
    const Interface interface {
      .name = each->if_name, .index = static_cast<int>(each->if_index)
    };
    const absl::StatusOr<std::optional<uint32_t>> id = FindAttached(interface, Direction::kIngress);
    if (id.ok() && id->has_value()) names.push_back(interface.name);
  }
  if_freenameindex(all);
  return names;
}

}  // namespace sluice::backend
