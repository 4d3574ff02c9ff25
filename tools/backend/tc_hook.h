#ifndef SLUICE_TOOLS_BACKEND_TC_HOOK_H_
#define SLUICE_TOOLS_BACKEND_TC_HOOK_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/backend/file_descriptor.h"
#include "tools/backend/host.h"
#include "tools/backend/program.h"

// The agent's place at an interface: a filter of the clsact qdisc in each direction, with a priority and a handle of
// its own. What is attached there is the only record of what runs: no file and no pin can be out of date, and it works
// in every network namespace.
namespace sluice::backend {

enum class Direction : uint8_t { kIngress, kEgress };
inline constexpr std::array<Direction, 2> kDirections = {Direction::kIngress, Direction::kEgress};

// The kernel's id of the agent's program there; nothing when there is none. kAlreadyExists when a program of somebody
// else has the agent's priority and handle.
absl::StatusOr<std::optional<uint32_t>> FindAttached(const Interface& interface, Direction direction);

// Descriptors of the maps of a program.
std::vector<FileDescriptor> MapsOf(uint32_t program_id);
// The one with this name; none when there is none.
FileDescriptor MapOf(uint32_t program_id, const char* name);
// The kernel's id of a program that this process has.
uint32_t ProgramId(int program);

// Puts both programs at the interface, in place of those of a former run if there are; each changes over between two
// packets. Creates the clsact qdisc if it is missing, and notes that in the map `created_clsact`.
absl::Status Attach(const Interface& interface, const Program& program);

// Takes the agent's programs away, and the clsact qdisc if the agent created it and nobody else uses it now. True when
// there was something.
absl::StatusOr<bool> Detach(const Interface& interface);

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_TC_HOOK_H_
