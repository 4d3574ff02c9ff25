#include "controlplane/probe/tcp_prober.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "controlplane/model/text.h"

namespace sluice::probe {

using health::ProbeResult;

void TcpProber::Start(health::ProbeId id, const health::CheckSpec& spec) {
  absl::StatusOr<Socket> socket = Socket::Open(SOCK_STREAM, spec.target, ways_);
  if (!socket.ok()) {
    sink_.Done(id, {ProbeResult::Kind::kNotMade, std::string(socket.status().message())});
    return;
  }
  const int fd = socket->fd();
  probes_[id] = {*std::move(socket), &spec.target};
  const SocketAddress to = AddressOf(spec.target.address, spec.target.port);
  if (connect(fd, to.get(), to.length) != 0 && errno != EINPROGRESS) {
    End(id, ConnectFailure(spec.target, errno, true));
    return;
  }
  loop_.Watch(fd, EPOLLOUT, [this, id](uint32_t) { Connected(id); });
}

void TcpProber::Connected(health::ProbeId id) {
  const Probe& probe = probes_.at(id);
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(probe.socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  End(id, error != 0 ? ConnectFailure(*probe.target, error)
                     : ProbeResult{ProbeResult::Kind::kPassed,
                                   model::Cat("connect to ", TargetText(*probe.target), ": accepted")});
}

void TcpProber::End(health::ProbeId id, ProbeResult result) {
  const auto found = probes_.find(id);
  loop_.Forget(found->second.socket.fd());
  probes_.erase(found);
  sink_.Done(id, std::move(result));
}

std::string TcpProber::Cancel(health::ProbeId id) {
  const auto found = probes_.find(id);
  if (found == probes_.end()) return "";
  std::string what = model::Cat("connect to ", TargetText(*found->second.target));
  loop_.Forget(found->second.socket.fd());
  probes_.erase(found);
  return what;
}

}  // namespace sluice::probe
