#ifndef SLUICE_CONTROLPLANE_PROBE_ICMP_PROBER_H_
#define SLUICE_CONTROLPLANE_PROBE_ICMP_PROBER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/statusor.h"
#include "controlplane/health/prober.h"
#include "controlplane/probe/event_loop.h"
#include "controlplane/probe/way.h"

namespace sluice::probe {

// An echo request is answered. Raw sockets, one for each family and interface: the kernel's own for pings want a
// sysctl. A request's identifier is the source port of its way.
class IcmpProber final : public health::Prober {
 public:
  IcmpProber(EventLoop& loop, Ways& ways, health::ProbeSink& sink) : loop_(loop), ways_(ways), sink_(sink) {}
  ~IcmpProber() override;

  void Start(health::ProbeId id, const health::CheckSpec& spec) override;
  std::string Cancel(health::ProbeId id) override;

 private:
  struct Probe {
    Way way;
    const health::CheckTarget* target = nullptr;
  };
  // By family and interface.
  using SocketKey = std::pair<bool, std::string>;
  absl::StatusOr<int> SocketFor(bool v4, const std::string& device);
  void Receive(int fd, bool v4);
  void Take(bool v4, const uint8_t* icmp, size_t size, const uint8_t* source);
  Probe Remove(health::ProbeId id);

  EventLoop& loop_;
  Ways& ways_;
  health::ProbeSink& sink_;
  std::map<SocketKey, int> sockets_;
  std::unordered_map<health::ProbeId, Probe> probes_;
  std::unordered_map<uint16_t, health::ProbeId> by_identifier_;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_ICMP_PROBER_H_
