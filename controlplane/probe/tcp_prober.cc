#include "controlplane/probe/tcp_prober.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "controlplane/model/text.h"

namespace sluice::probe {

using health::ProbeResult;

TcpProber::TcpProber(EventLoop& loop, Ways& ways, health::ProbeSink& sink)
    : SocketProber(SOCK_STREAM, EPOLLOUT, loop, ways, sink) {}

int TcpProber::Begin(int fd, const health::CheckSpec& spec) {
  const SocketAddress to = AddressOf(spec.target.address, spec.target.port);
  return connect(fd, to.get(), to.length) != 0 && errno != EINPROGRESS ? errno : 0;
}

ProbeResult TcpProber::Failed(const health::CheckTarget& target, int error) const {
  return ConnectFailure(target, error, true);
}

void TcpProber::OnReady(health::ProbeId id, int fd, const health::CheckSpec& spec) {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  End(id, error != 0 ? ConnectFailure(spec.target, error)
                     : ProbeResult{ProbeResult::Kind::kPassed, model::Cat(Doing(spec.target), ": accepted")});
}

std::string TcpProber::Doing(const health::CheckTarget& target) const {
  return model::Cat("connect to ", TargetText(target));
}

}  // namespace sluice::probe
