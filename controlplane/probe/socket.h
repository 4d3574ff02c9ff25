#ifndef SLUICE_CONTROLPLANE_PROBE_SOCKET_H_
#define SLUICE_CONTROLPLANE_PROBE_SOCKET_H_

#include <sys/socket.h>

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "controlplane/health/check_spec.h"
#include "controlplane/health/prober.h"
#include "controlplane/probe/way.h"

namespace sluice::probe {

// A probe's socket, bound to its way, non-blocking. Closing ends a TCP connection with a reset: nothing of it is left
// in either kernel, whose ports and memory thousands of closed connections would fill.
class Socket {
 public:
  Socket() = default;
  Socket(Ways* ways, Way way, int fd) : ways_(ways), way_(std::move(way)), fd_(fd) {}
  Socket(Socket&& other) noexcept { *this = std::move(other); }
  Socket& operator=(Socket&& other) noexcept {
    std::swap(ways_, other.ways_);
    std::swap(way_, other.way_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() { Close(); }

  // `type`: SOCK_STREAM or SOCK_DGRAM. Errors say why this director cannot make the probe.
  static absl::StatusOr<Socket> Open(int type, const health::CheckTarget& target, Ways& ways);

  void Close();
  int fd() const { return fd_; }

 private:
  Ways* ways_ = nullptr;
  Way way_;
  int fd_ = -1;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
SocketAddress AddressOf(const net::IpAddress& address, uint16_t port);

// "192.0.2.11:80", and on the data path "203.0.113.10:80 on 192.0.2.11".
std::string TargetText(const health::CheckTarget& target);
// "connect to 192.0.2.11:80: refused". An error that is this director's own makes it a probe that was not made.
// `at_once`: the kernel said so before any packet was sent.
health::ProbeResult ConnectFailure(const health::CheckTarget& target, int error, bool at_once = false);

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_SOCKET_H_
