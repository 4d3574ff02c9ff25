#include "controlplane/probe/udp_prober.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "controlplane/model/text.h"

namespace sluice::probe {
namespace {

using health::ProbeResult;
using model::Cat;
using Kind = ProbeResult::Kind;

ProbeResult Failure(const health::CheckTarget& target, int error, bool at_once) {
  if (error == ECONNREFUSED) return {Kind::kFailed, Cat("datagram to ", TargetText(target), ": port unreachable")};
  if (error == ENETUNREACH) return ConnectFailure(target, error, at_once);
  return {Kind::kFailed, Cat("datagram to ", TargetText(target), ": ", std::strerror(error))};
}

}  // namespace

std::string BytesOf(const std::string& text) {
  if (!text.starts_with("0x")) return text;
  return absl::HexStringToBytes({text.data() + 2, text.size() - 2});
}

void UdpProber::Start(health::ProbeId id, const health::CheckSpec& spec) {
  absl::StatusOr<Socket> socket = Socket::Open(SOCK_DGRAM, spec.target, ways_);
  if (!socket.ok()) {
    sink_.Done(id, {Kind::kNotMade, std::string(socket.status().message())});
    return;
  }
  const int fd = socket->fd();
  probes_[id] = {*std::move(socket), &spec};
  const SocketAddress to = AddressOf(spec.target.address, spec.target.port);
  const std::string bytes = BytesOf(spec.config.send);
  if (connect(fd, to.get(), to.length) != 0 || send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
    End(id, Failure(spec.target, errno, true));
    return;
  }
  loop_.Watch(fd, EPOLLIN, [this, id](uint32_t) { Receive(id); });
}

void UdpProber::Receive(health::ProbeId id) {
  const Probe& probe = probes_.at(id);
  std::array<char, 65536> buffer;
  const ssize_t bytes = recv(probe.socket.fd(), buffer.data(), buffer.size(), 0);
  if (bytes < 0) {
    if (errno != EAGAIN && errno != EINTR) End(id, Failure(probe.spec->target, errno, false));
    return;
  }
  const std::string_view answer(buffer.data(), static_cast<size_t>(bytes));
  const std::string wanted = BytesOf(probe.spec->config.expect);
  if (answer.find(wanted) == std::string_view::npos) {
    End(id, {Kind::kFailed, Cat("the answer of ", bytes, " bytes is not what is expected")});
  } else {
    End(id, {Kind::kPassed, Cat("an answer of ", bytes, " bytes")});
  }
}

void UdpProber::End(health::ProbeId id, ProbeResult result) {
  const auto found = probes_.find(id);
  loop_.Forget(found->second.socket.fd());
  probes_.erase(found);
  sink_.Done(id, std::move(result));
}

std::string UdpProber::Cancel(health::ProbeId id) {
  const auto found = probes_.find(id);
  if (found == probes_.end()) return "";
  std::string what = Cat("answer of ", TargetText(found->second.spec->target));
  loop_.Forget(found->second.socket.fd());
  probes_.erase(found);
  return what;
}

}  // namespace sluice::probe
