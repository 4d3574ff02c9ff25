#ifndef SLUICE_CONTROLPLANE_PROBE_TCP_PROBER_H_
#define SLUICE_CONTROLPLANE_PROBE_TCP_PROBER_H_

#include <string>
#include <unordered_map>

#include "controlplane/health/prober.h"
#include "controlplane/probe/event_loop.h"
#include "controlplane/probe/socket.h"

namespace sluice::probe {

// A connection is accepted; it is reset at once.
class TcpProber final : public health::Prober {
 public:
  TcpProber(EventLoop& loop, Ways& ways, health::ProbeSink& sink) : loop_(loop), ways_(ways), sink_(sink) {}

  void Start(health::ProbeId id, const health::CheckSpec& spec) override;
  std::string Cancel(health::ProbeId id) override;

 private:
  struct Probe {
    Socket socket;
    const health::CheckTarget* target = nullptr;
  };
  void Connected(health::ProbeId id);
  void End(health::ProbeId id, health::ProbeResult result);

  EventLoop& loop_;
  Ways& ways_;
  health::ProbeSink& sink_;
  std::unordered_map<health::ProbeId, Probe> probes_;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_TCP_PROBER_H_
