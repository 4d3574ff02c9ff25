#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "config/text.h"
#include "tools/backend/bpf_failure.h"
#include "tools/backend/check.h"
#include "tools/backend/program.h"
#include "tools/backend/tc_hook.h"

namespace sluice::backend {
namespace {

using config::Cat;

constexpr std::array<std::pair<bpf_func_id, std::string_view>, 8> kHelpers = {
    {{BPF_FUNC_skb_load_bytes, "bpf_skb_load_bytes (Linux 4.5)"},
     {BPF_FUNC_skb_store_bytes, "bpf_skb_store_bytes (Linux 4.1)"},
     {BPF_FUNC_l3_csum_replace, "bpf_l3_csum_replace (Linux 4.1)"},
     {BPF_FUNC_l4_csum_replace, "bpf_l4_csum_replace (Linux 4.1)"},
     {BPF_FUNC_skb_adjust_room, "bpf_skb_adjust_room (Linux 5.2)"},
     {BPF_FUNC_csum_level, "bpf_csum_level (Linux 5.8)"},
     {BPF_FUNC_redirect, "bpf_redirect (Linux 4.4)"},
     {BPF_FUNC_map_lookup_elem, "bpf_map_lookup_elem (Linux 3.19)"}}};

constexpr std::array<std::pair<bpf_map_type, std::string_view>, 5> kMaps = {
    {{BPF_MAP_TYPE_HASH, "hash tables"},
     {BPF_MAP_TYPE_ARRAY, "arrays"},
     {BPF_MAP_TYPE_PERCPU_ARRAY, "arrays for each CPU"},
     {BPF_MAP_TYPE_LRU_HASH, "tables that forget the oldest (Linux 4.10)"},
     {BPF_MAP_TYPE_LPM_TRIE, "longest-prefix tables (Linux 4.11)"}}};

bool CheckHelpersAndMaps(std::vector<Finding>* findings) {
  bool all = true;
  for (const auto& [helper, name] : kHelpers) {
    if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_SCHED_CLS, helper, nullptr) > 0) continue;
    findings->push_back({Severity::kError, Cat("the kernel lacks the helper ", name), "use Linux 5.10 or later"});
    all = false;
  }
  for (const auto& [type, name] : kMaps) {
    if (libbpf_probe_bpf_map_type(type, nullptr) > 0) continue;
    findings->push_back({Severity::kError, Cat("the kernel lacks eBPF ", name), "use Linux 5.10 or later"});
    all = false;
  }
  TakeBpfMessages();
  if (all) findings->push_back({Severity::kOk, "all eBPF helpers and maps that the programs use", ""});
  return all;
}

void CheckPrograms(std::vector<Finding>* findings) {
  const absl::StatusOr<Program> program = Program::Load({}, 0);
  if (!program.ok()) {
    findings->push_back({Severity::kError, std::string(program.status().message()), "report this with `uname -r`"});
    return;
  }
  findings->push_back({Severity::kOk, "the kernel takes the programs", ""});
  const absl::StatusOr<bool> follows = program->FollowsFamilyChange();
  if (!follows.ok()) {
    findings->push_back({Severity::kError, std::string(follows.status().message()), ""});
  } else if (*follows) {
    findings->push_back({Severity::kOk, "tunnels between address families (Linux 6.3)", ""});
  } else {
    findings->push_back({Severity::kNote,
                         "the kernel is older than 6.3: packets out of tunnels between address families enter the "
                         "interface a second time, which costs them about as much again",
                         ""});
  }
}

// clsact can only be asked for by having it: at the loopback interface, for a moment.
void CheckClsact(std::vector<Finding>* findings) {
  absl::StatusOr<Interface> loopback = FindInterface("lo");
  if (!loopback.ok()) return;
  bpf_tc_hook hook{.sz = sizeof(bpf_tc_hook),
                   .ifindex = loopback->index,
                   .attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS),
                   .parent = 0};
  const int error = bpf_tc_hook_create(&hook);
  TakeBpfMessages();
  if (error == 0) bpf_tc_hook_destroy(&hook);
  if (error == 0 || error == -EEXIST) {
    findings->push_back({Severity::kOk, "the clsact qdisc", ""});
  } else if (error == -EPERM) {
    findings->push_back(
        {Severity::kError, "no permission to create a clsact qdisc", "run it as root, or with CAP_NET_ADMIN"});
  } else {
    findings->push_back({Severity::kError, "the kernel has no clsact qdisc",
                         "load the modules sch_ingress and cls_bpf (CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF)"});
  }
}

}  // namespace

std::vector<Finding> CheckKernel() {
  std::vector<Finding> findings;
  utsname name{};
  uname(&name);
  findings.push_back({Severity::kNote, Cat("Linux ", std::string_view(name.release)), ""});
  const int supported = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, nullptr);
  TakeBpfMessages();
  if (supported <= 0) {
    const bool root = geteuid() == 0;
    findings.push_back({Severity::kError, "the bpf system call does not load programs for tc",
                        root ? "the kernel needs CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF; in a container it must be "
                               "allowed CAP_BPF and CAP_NET_ADMIN, by its seccomp filter too"
                             : "run it as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN"});
    return findings;
  }
  findings.push_back({Severity::kOk, "the bpf system call, and the permission to use it", ""});
  if (CheckHelpersAndMaps(&findings)) CheckPrograms(&findings);
  CheckClsact(&findings);
  findings.push_back({Severity::kOk,
                      access("/sys/kernel/btf/vmlinux", R_OK) == 0
                          ? "the kernel's BTF, which the programs do not need"
                          : "no BTF of the kernel (CONFIG_DEBUG_INFO_BTF), which the programs do not need",
                      ""});
  findings.push_back(
      {Severity::kOk, "a bpf file system is not needed: what is attached is found at the interface", ""});
  return findings;
}

}  // namespace sluice::backend
