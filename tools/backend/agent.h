#ifndef SLUICE_TOOLS_BACKEND_AGENT_H_
#define SLUICE_TOOLS_BACKEND_AGENT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/backend/host.h"
#include "tools/backend/interface_lock.h"
#include "tools/backend/options.h"
#include "tools/backend/program.h"

namespace sluice::backend {

// The programs at a host's interfaces, and what keeps them there. One thread.
class Agent {
 public:
  // Loads the programs, fills their maps and attaches them; programs of a former run are replaced and what they counted
  // is kept. Nothing stays attached when it fails but what was there before.
  static absl::StatusOr<Agent> Start(const Options& options);

  // Makes the programs do what `options` say now: also when the host's addresses changed, an interface came back, or
  // somebody removed the programs. `changed`: the options are not those of the last time. An error leaves things as
  // they are.
  absl::Status Refresh(const Options& options, bool changed);

  // Takes the programs off all interfaces.
  void Detach();

  const Resolved& resolved() const { return resolved_; }

 private:
  Agent(Program program, Resolved resolved, std::vector<InterfaceLock> locks)
      : program_(std::move(program)), resolved_(std::move(resolved)), locks_(std::move(locks)) {}
  absl::Status AttachMissing() const;

  Program program_;
  Resolved resolved_;
  std::vector<InterfaceLock> locks_;
};

// Takes the agent's programs off interfaces that no running agent has. kNotFound when there are none.
absl::Status DetachFrom(const std::vector<std::string>& interfaces);

// The interfaces of this network namespace at which the agent's programs are attached.
std::vector<std::string> AttachedInterfaces();

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_AGENT_H_
