#ifndef SLUICE_CONTROLPLANE_PROBE_COMMAND_PROBER_H_
#define SLUICE_CONTROLPLANE_PROBE_COMMAND_PROBER_H_

#include <sys/types.h>

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "controlplane/health/prober.h"
#include "controlplane/probe/event_loop.h"
#include "controlplane/probe/way.h"

namespace sluice::probe {

// A program ends with 0. It has a process group of its own, which is killed when its time is over, and what it needs to
// know in its environment: SLUICE_ADDRESS and SLUICE_PORT to connect to, SLUICE_BACKEND, and to take the way of the
// traffic, SLUICE_SOURCE_PORT and SLUICE_INTERFACE to bind to. The first line that it prints is the reason.
class CommandProber final : public health::Prober {
 public:
  // Programs are those of `directory`: whoever may change a pool must not run anything on this machine.
  CommandProber(std::string directory, EventLoop& loop, Ways& ways, health::ProbeSink& sink)
      : directory_(std::move(directory)), loop_(loop), ways_(ways), sink_(sink) {}
  ~CommandProber() override;

  void Start(health::ProbeId id, const health::CheckSpec& spec) override;
  std::string Cancel(health::ProbeId id) override;

 private:
  struct Probe {
    Way way;
    std::string name;
    pid_t pid = -1;
    int pid_fd = -1;
    int output_fd = -1;
    std::string output;
  };
  void Read(Probe& probe);
  void Ended(health::ProbeId id);
  void Close(Probe& probe);
  // Collects a program that was killed, when it has ended.
  void Bury(int pid_fd, pid_t pid);

  const std::string directory_;
  EventLoop& loop_;
  Ways& ways_;
  health::ProbeSink& sink_;
  std::unordered_map<health::ProbeId, Probe> probes_;
  std::unordered_map<int, pid_t> dying_;  // by pid_fd
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_COMMAND_PROBER_H_
