#include "controlplane/probe/socket.h"

#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "controlplane/model/text.h"

namespace sluice::probe {
namespace {

using model::Cat;
using Kind = health::ProbeResult::Kind;

// Ports of the range that somebody else on this machine has are passed over.
constexpr int kPortAttempts = 16;

absl::Status Failed(std::string_view what, int error) {
  return absl::UnavailableError(Cat(what, ": ", std::strerror(error)));
}

// Zero, or the error.
int BindTo(int fd, const health::CheckTarget& target, const Way& way) {
  if (!way.device.empty() &&
      setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, way.device.c_str(), static_cast<socklen_t>(way.device.size())) != 0) {
    return errno;
  }
  if (way.source_port == 0) return 0;
  const net::IpAddress any = target.address.is_v4() ? net::IpAddress() : *net::IpAddress::Parse("::");
  const SocketAddress from = AddressOf(any, way.source_port);
  return bind(fd, from.get(), from.length) == 0 ? 0 : errno;
}

}  // namespace

absl::StatusOr<Socket> Socket::Open(int type, const health::CheckTarget& target, Ways& ways) {
  for (int attempt = 1;; ++attempt) {
    absl::StatusOr<Way> way = ways.Open(target);
    if (!way.ok()) return way.status();
    const int family = target.address.is_v4() ? AF_INET : AF_INET6;
    Socket made(&ways, *way, socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (made.fd_ < 0) return Failed("no socket", errno);
    if (type == SOCK_STREAM) {
      const linger reset = {.l_onoff = 1, .l_linger = 0};
      setsockopt(made.fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    const int error = BindTo(made.fd_, target, *way);
    if (error == 0) return made;
    if (error != EADDRINUSE) return Failed(Cat("no socket on ", way->device.empty() ? "the host" : way->device), error);
    if (attempt == kPortAttempts) return Failed("no source port of node.health.source_ports is free", error);
  }
}

void Socket::Close() {
  if (fd_ >= 0) close(fd_);
  if (ways_ != nullptr) ways_->Close(way_);
  fd_ = -1;
  ways_ = nullptr;
}

SocketAddress AddressOf(const net::IpAddress& address, uint16_t port) {
  SocketAddress out;
  if (address.is_v4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&out.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    std::memcpy(&in->sin_addr, address.data(), address.size());
    out.length = sizeof(*in);
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    std::memcpy(&in6->sin6_addr, address.data(), address.size());
    out.length = sizeof(*in6);
  }
  return out;
}

std::string TargetText(const health::CheckTarget& target) {
  std::string text = health::EndText(target.address, target.port);
  if (target.on_data_path()) text += Cat(" on ", target.backend_address.ToString());
  return text;
}

health::ProbeResult ConnectFailure(const health::CheckTarget& target, int error, bool at_once) {
  const std::string what = Cat("connect to ", TargetText(target), ": ");
  switch (error) {
    case ECONNREFUSED:
      return {Kind::kFailed, what + "refused"};
    case ECONNRESET:
      return {Kind::kFailed, what + "reset"};
    case EHOSTUNREACH:
      return {Kind::kFailed, what + "no such host on the network, or no route to it"};
    case ENETUNREACH:
      // Said by a router or by the backend, unless the kernel knew it at once.
      if (!at_once) return {Kind::kFailed, what + "answered with: no route to the destination"};
      return {Kind::kNotMade, what + "this director has no route or no address of the family"};
    case EADDRNOTAVAIL:
      return {Kind::kNotMade, what + "no source address or port is free"};
    default:
      return {Kind::kFailed, what + std::strerror(error)};
  }
}

}  // namespace sluice::probe
