#include "controlplane/probe/socket_prober.h"

#include <utility>

namespace sluice::probe {

using health::ProbeId;
using health::ProbeResult;

void SocketProber::Start(ProbeId id, const health::CheckSpec& spec) {
  absl::StatusOr<Socket> socket = Socket::Open(type_, spec.target, ways_);
  if (!socket.ok()) {
    sink_.Done(id, {ProbeResult::Kind::kNotMade, std::string(socket.status().message())});
    return;
  }
  const int fd = socket->fd();
  probes_[id] = {*std::move(socket), &spec};
  if (const int error = Begin(fd, spec); error != 0) {
    End(id, Failed(spec.target, error));
    return;
  }
  loop_.Watch(fd, events_, [this, id](uint32_t) {
    const Probe& probe = probes_.at(id);
    OnReady(id, probe.socket.fd(), *probe.spec);
  });
}

void SocketProber::End(ProbeId id, ProbeResult result) {
  Remove(probes_.find(id));
  sink_.Done(id, std::move(result));
}

std::string SocketProber::Cancel(ProbeId id) {
  const auto found = probes_.find(id);
  if (found == probes_.end()) return "";
  std::string what = Doing(found->second.spec->target);
  Remove(found);
  return what;
}

void SocketProber::Remove(Probes::iterator probe) {
  loop_.Forget(probe->second.socket.fd());
  probes_.erase(probe);
}

}  // namespace sluice::probe
