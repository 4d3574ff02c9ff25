#ifndef SLUICE_CONTROLPLANE_PROBE_UDP_PROBER_H_
#define SLUICE_CONTROLPLANE_PROBE_UDP_PROBER_H_

#include <string>
#include <unordered_map>

#include "controlplane/health/prober.h"
#include "controlplane/probe/event_loop.h"
#include "controlplane/probe/socket.h"

namespace sluice::probe {

// What a configuration's text stands for: itself, or with "0x" in front the bytes of its hexadecimal digits.
std::string BytesOf(const std::string& text);

// A datagram is answered, by what is expected if that was given.
class UdpProber final : public health::Prober {
 public:
  UdpProber(EventLoop& loop, Ways& ways, health::ProbeSink& sink) : loop_(loop), ways_(ways), sink_(sink) {}

  void Start(health::ProbeId id, const health::CheckSpec& spec) override;
  std::string Cancel(health::ProbeId id) override;

 private:
  struct Probe {
    Socket socket;
    const health::CheckSpec* spec = nullptr;
  };
  void Receive(health::ProbeId id);
  void End(health::ProbeId id, health::ProbeResult result);

  EventLoop& loop_;
  Ways& ways_;
  health::ProbeSink& sink_;
  std::unordered_map<health::ProbeId, Probe> probes_;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_UDP_PROBER_H_
