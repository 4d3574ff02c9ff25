#include "dataplane/runtime/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace sluice::runtime {
namespace {

constexpr size_t kMaxSegments = 16;

absl::Status Failed(const std::string& port_name, const std::string& name, absl::string_view what, int error) {
  const std::string message =
      absl::StrCat("port ", port_name, ": exception interface ", name, ": ", what, " failed: ", std::strerror(error));
  if (error == EBUSY || error == EEXIST || error == EINVAL) {
    return absl::AlreadyExistsError(absl::StrCat(
        message,
        "; an interface of this name exists already: choose another exception.interface, or remove it: ip link "
        "del ",
        name));
  }
  if (error == EPERM || error == EACCES) {
    return absl::PermissionDeniedError(absl::StrCat(message, "; it needs CAP_NET_ADMIN: run as root"));
  }
  if (error == ENOENT || error == ENODEV) {
    return absl::FailedPreconditionError(absl::StrCat(message, "; load the module: modprobe tun"));
  }
  return absl::InternalError(message);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tap>> Tap::Create(const std::string& port_name, const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return absl::InvalidArgumentError(absl::StrCat("port ", port_name, ": exception.interface '", name,
                                                   "' must have 1 to ", IFNAMSIZ - 1, " characters"));
  }
  if (if_nametoindex(name.c_str()) != 0) return Failed(port_name, name, "creating it", EEXIST);
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return Failed(port_name, name, "opening /dev/net/tun", errno);
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  // No persistence: closing the file removes the interface, however the process ends.
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL);
  if (ioctl(fd, TUNSETIFF, &request) != 0) {
    const int error = errno;
    close(fd);
    return Failed(port_name, name, "creating it", error);
  }
  return std::make_unique<Tap>(name, fd, if_nametoindex(name.c_str()));
}

Tap::~Tap() { close(fd_); }

bool Tap::Write(const rte_mbuf* mbuf) {
  std::array<iovec, kMaxSegments> parts;
  size_t count = 0;
  for (const rte_mbuf* segment = mbuf; segment != nullptr; segment = segment->next) {
    if (count == parts.size()) return false;
    parts[count++] = {.iov_base = rte_pktmbuf_mtod(segment, void*), .iov_len = segment->data_len};
  }
  const ssize_t written = writev(fd_, parts.data(), static_cast<int>(count));
  return written == static_cast<ssize_t>(mbuf->pkt_len);
}

size_t Tap::Read(uint8_t* buffer, size_t size) {
  const ssize_t got = read(fd_, buffer, size);
  return got > 0 ? static_cast<size_t>(got) : 0;
}

}  // namespace sluice::runtime
