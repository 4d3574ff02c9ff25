#ifndef SLUICE_CONTROLPLANE_PROBE_UDP_PROBER_H_
#define SLUICE_CONTROLPLANE_PROBE_UDP_PROBER_H_

#include <string>

#include "controlplane/probe/socket_prober.h"

namespace sluice::probe {

// What a configuration's text stands for: itself, or with "0x" in front the bytes of its hexadecimal digits.
std::string BytesOf(const std::string& text);

// A datagram is answered, by what is expected if that was given.
class UdpProber final : public SocketProber {
 public:
  UdpProber(EventLoop& loop, Ways& ways, health::ProbeSink& sink);

 private:
  int Begin(int fd, const health::CheckSpec& spec) override;
  health::ProbeResult Failed(const health::CheckTarget& target, int error) const override;
  void OnReady(health::ProbeId id, int fd, const health::CheckSpec& spec) override;
  std::string Doing(const health::CheckTarget& target) const override;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_UDP_PROBER_H_
