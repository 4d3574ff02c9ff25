#include "tools/backend/tc_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdlib>

#include "config/problem.h"
#include "config/text.h"
#include "tools/backend/bpf_failure.h"
#include "tools/backend/tc_filters.h"

namespace sluice::backend {
namespace {

using config::Cat;
using config::Quote;

// Of our own: others' filters may come before and after it.
constexpr uint32_t kPriority = 100;
constexpr uint32_t kHandle = 0x5c1;

bpf_tc_hook HookOf(const Interface& interface, Direction direction) {
  return {.sz = sizeof(bpf_tc_hook),
          .ifindex = interface.index,
          .attach_point = direction == Direction::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS,
          .parent = 0};
}

const char* NameOf(Direction direction) {
  return direction == Direction::kIngress ? SLUICE_BACKEND_INGRESS : SLUICE_BACKEND_EGRESS;
}

// The program at our priority and handle, whoever's it is; 0 when there is none.
uint32_t ProgramAt(const Interface& interface, Direction direction) {
  const bpf_tc_hook hook = HookOf(interface, direction);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kHandle, .priority = kPriority);
  return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : 0;
}

absl::Status AttachOne(const Interface& interface, Direction direction, int program) {
  const absl::StatusOr<std::optional<uint32_t>> old = FindAttached(interface, direction);
  if (!old.ok()) return old.status();
  const bpf_tc_hook hook = HookOf(interface, direction);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .flags = old->has_value() ? uint32_t{BPF_TC_F_REPLACE} : 0u,
              .handle = kHandle, .priority = kPriority);
  const int error = bpf_tc_attach(&hook, &options);
  return error == 0 ? absl::OkStatus()
                    : BpfFailure(Cat("cannot attach to ", Quote(interface.name), " at ",
                                     direction == Direction::kIngress ? "ingress" : "egress"),
                                 error);
}

}  // namespace

absl::StatusOr<std::optional<uint32_t>> FindAttached(const Interface& interface, Direction direction) {
  const uint32_t id = ProgramAt(interface, direction);
  if (id == 0) return std::nullopt;
  const FileDescriptor program(bpf_prog_get_fd_by_id(id));
  if (!program) return BpfFailure(Cat("cannot look at the program at ", Quote(interface.name)), errno);
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) {
    return BpfFailure(Cat("cannot look at the program at ", Quote(interface.name)), errno);
  }
  if (std::string_view(info.name) != NameOf(direction)) {
    return absl::AlreadyExistsError(Cat("interface ", Quote(interface.name), ": priority ", kPriority, " and handle ",
                                        kHandle, " are taken by the program ", Quote(info.name),
                                        "; remove it with `tc filter del`"));
  }
  return id;
}

std::vector<FileDescriptor> MapsOf(uint32_t program_id) {
  const FileDescriptor program(bpf_prog_get_fd_by_id(program_id));
  std::array<uint32_t, 64> ids{};
  bpf_prog_info info{};
  info.nr_map_ids = ids.size();
  info.map_ids = reinterpret_cast<uintptr_t>(ids.data());
  uint32_t size = sizeof(info);
  if (!program || bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) return {};
  std::vector<FileDescriptor> maps;
  for (size_t i = 0; i < info.nr_map_ids && i < ids.size(); ++i) {
    if (FileDescriptor map(bpf_map_get_fd_by_id(ids[i])); map) maps.push_back(std::move(map));
  }
  return maps;
}

FileDescriptor MapOf(uint32_t program_id, const char* name) {
  for (FileDescriptor& map : MapsOf(program_id)) {
    bpf_map_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(map.get(), &info, &size) == 0 && std::string_view(info.name) == name) {
      return std::move(map);
    }
  }
  return {};
}

uint32_t ProgramId(int program) {
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(program, &info, &size) == 0 ? info.id : 0;
}

absl::Status Attach(const Interface& interface, const Program& program) {
  bpf_tc_hook both = HookOf(interface, Direction::kIngress);
  both.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  const int error = bpf_tc_hook_create(&both);
  if (error != 0 && error != -EEXIST) {
    return BpfFailure(Cat("cannot create the clsact qdisc of ", Quote(interface.name)), error);
  }
  if (error == 0) {
    const auto index = static_cast<uint32_t>(interface.index);
    const uint8_t yes = 1;
    bpf_map_update_elem(program.map("created_clsact"), &index, &yes, BPF_ANY);
  }
  const absl::Status status = AttachOne(interface, Direction::kEgress, program.egress());
  // What comes in last: from then on packets go up the stack.
  return status.ok() ? AttachOne(interface, Direction::kIngress, program.ingress()) : status;
}

absl::StatusOr<bool> Detach(const Interface& interface) {
  bool found = false;
  bool created_clsact = false;
  for (const Direction direction : kDirections) {
    const absl::StatusOr<std::optional<uint32_t>> id = FindAttached(interface, direction);
    if (!id.ok()) return id.status();
    if (!id->has_value()) continue;
    found = true;
    if (const FileDescriptor map = MapOf(**id, "created_clsact"); map) {
      const auto index = static_cast<uint32_t>(interface.index);
      uint8_t value = 0;
      created_clsact |= bpf_map_lookup_elem(map.get(), &index, &value) == 0;
    }
    const bpf_tc_hook hook = HookOf(interface, direction);
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = kHandle, .priority = kPriority);
    if (const int error = bpf_tc_detach(&hook, &options); error != 0) {
      return BpfFailure(Cat("cannot detach from ", Quote(interface.name)), error);
    }
  }
  if (created_clsact && !HasTcFilters(interface.index)) {
    bpf_tc_hook both = HookOf(interface, Direction::kIngress);
    both.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
    if (const int error = bpf_tc_hook_destroy(&both); error != 0) {
      return BpfFailure(Cat("cannot remove the clsact qdisc of ", Quote(interface.name)), error);
    }
  }
  return found;
}

}  // namespace sluice::backend
