#ifndef SLUICE_DATAPLANE_RUNTIME_SLEEPER_H_
#define SLUICE_DATAPLANE_RUNTIME_SLEEPER_H_

#include <rte_epoll.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/runtime/event.h"
#include "dataplane/runtime/port.h"

namespace sluice::runtime {

// Puts one worker to sleep: on the receive interrupts of its queues if every device has them, else by the clock alone.
// Attach, Arm, Sleep: the worker's thread. Wake: any thread.
class Sleeper {
 public:
  // `queues`: those that the worker receives from. `try_interrupts`: the devices were configured with them.
  Sleeper(std::vector<PortQueue> queues, bool try_interrupts);
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  // Once, first: ties the interrupts to the calling thread.
  void Attach();
  void Detach();
  bool uses_interrupts() const { return attached_; }

  // With interrupts: switches them on. The caller must poll once more before it sleeps, because a packet that came
  // before raises none.
  void Arm();
  // With interrupts: until one comes, Wake is called or `ns` have passed. Without: `ns`, at most a fraction of a
  // millisecond, so that nothing needs to end it early.
  void Sleep(uint64_t ns);
  void Disarm();
  void Wake() { wake_.Signal(); }

 private:
  // False: a queue has no interrupts after all.
  bool AttachAll();
  void DetachAll();
  const std::vector<PortQueue> queues_;
  const bool try_interrupts_;
  size_t tied_ = 0;  // queues, from the first on, whose interrupts the thread waits for
  bool attached_ = false;
  Event wake_;
  rte_epoll_event wake_event_{};  // DPDK keeps a pointer to it
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_SLEEPER_H_
