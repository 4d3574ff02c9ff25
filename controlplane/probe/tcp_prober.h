#ifndef SLUICE_CONTROLPLANE_PROBE_TCP_PROBER_H_
#define SLUICE_CONTROLPLANE_PROBE_TCP_PROBER_H_

#include <string>

#include "controlplane/probe/socket_prober.h"

namespace sluice::probe {

// A connection is accepted; it is reset at once.
class TcpProber final : public SocketProber {
 public:
  TcpProber(EventLoop& loop, Ways& ways, health::ProbeSink& sink);

 private:
  int Begin(int fd, const health::CheckSpec& spec) override;
  health::ProbeResult Failed(const health::CheckTarget& target, int error) const override;
  void OnReady(health::ProbeId id, int fd, const health::CheckSpec& spec) override;
  std::string Doing(const health::CheckTarget& target) const override;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_TCP_PROBER_H_
