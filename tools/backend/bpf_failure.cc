#include "tools/backend/bpf_failure.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "config/text.h"

namespace sluice::backend {
namespace {

// The end of what was said is kept: a verifier's log names the reason in its last lines.
constexpr size_t kKept = 1500;

std::string& Messages() {
  static std::string messages;
  return messages;
}

int Keep(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char* line = nullptr;
  if (vasprintf(&line, format, arguments) < 0) return 0;
  std::string& messages = Messages();
  messages += line;
  std::free(line);
  if (messages.size() > kKept) messages.erase(0, messages.size() - kKept);
  return 0;
}

std::string_view RemedyFor(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "run it as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN";
    case ENOSYS:
      return "the kernel has no bpf system call; it needs CONFIG_BPF_SYSCALL";
    case ENOMEM:
      return "there is not enough locked memory; raise RLIMIT_MEMLOCK (`ulimit -l`)";
    case ENODEV:
      return "the interface is gone; see `ip link`";
    case EINVAL:
    case ENOTSUP:
    case ENOENT:
      return "see what the kernel lacks with `sluice-backend check`";
    default:
      return "see `sluice-backend check`";
  }
}

}  // namespace

void CaptureBpfMessages() { libbpf_set_print(Keep); }

std::string TakeBpfMessages() { return std::exchange(Messages(), {}); }

absl::Status BpfFailure(std::string_view what, int error) {
  error = std::abs(error);
  const absl::StatusCode code = absl::ErrnoToStatus(error, "").code();
  return absl::Status(
      code, config::Cat(what, ": ", std::error_code(error, std::generic_category()).message(), "; ", RemedyFor(error)));
}

}  // namespace sluice::backend
