#ifndef SLUICE_CONTROLPLANE_PROBE_SOCKET_PROBER_H_
#define SLUICE_CONTROLPLANE_PROBE_SOCKET_PROBER_H_

#include <cstdint>
#include <string>
#include <unordered_map>

#include "controlplane/health/prober.h"
#include "controlplane/probe/event_loop.h"
#include "controlplane/probe/socket.h"

namespace sluice::probe {

// Probes of one connected socket each, from its opening to its end. What is sent and waited for is the derived class's.
class SocketProber : public health::Prober {
 public:
  void Start(health::ProbeId id, const health::CheckSpec& spec) override;
  std::string Cancel(health::ProbeId id) override;

 protected:
  // `type`: SOCK_STREAM or SOCK_DGRAM. `events`: of epoll, for which OnReady waits.
  SocketProber(int type, uint32_t events, EventLoop& loop, Ways& ways, health::ProbeSink& sink)
      : type_(type), events_(events), loop_(loop), ways_(ways), sink_(sink) {}

  // Connects, and sends what is to be sent. Zero, or the error.
  virtual int Begin(int fd, const health::CheckSpec& spec) = 0;
  // What Begin failed with.
  virtual health::ProbeResult Failed(const health::CheckTarget& target, int error) const = 0;
  // Calls End, unless there is more to wait for.
  virtual void OnReady(health::ProbeId id, int fd, const health::CheckSpec& spec) = 0;
  // "connect to 192.0.2.11:80"
  virtual std::string Doing(const health::CheckTarget& target) const = 0;

  void End(health::ProbeId id, health::ProbeResult result);

 private:
  struct Probe {
    Socket socket;
    const health::CheckSpec* spec = nullptr;
  };
  using Probes = std::unordered_map<health::ProbeId, Probe>;
  void Remove(Probes::iterator probe);

  const int type_;
  const uint32_t events_;
  EventLoop& loop_;
  Ways& ways_;
  health::ProbeSink& sink_;
  Probes probes_;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_SOCKET_PROBER_H_
