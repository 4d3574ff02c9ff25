#include "dataplane/runtime/sleeper.h"

#include <rte_epoll.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

#include <array>
#include <utility>

namespace sluice::runtime {
namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kNsPerMs = 1'000'000;

}  // namespace

Sleeper::Sleeper(std::vector<PortQueue> queues, bool try_interrupts)
    : queues_(std::move(queues)), try_interrupts_(try_interrupts) {}

bool Sleeper::AttachAll() {
  for (const PortQueue& queue : queues_) {
    if (rte_eth_dev_rx_intr_ctl_q(queue.device, queue.queue, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, nullptr) != 0) {
      return false;
    }
    ++tied_;
    // Some drivers have a file descriptor, but not the means to switch its events on and off (net_tap).
    if (rte_eth_dev_rx_intr_enable(queue.device, queue.queue) != 0) return false;
    rte_eth_dev_rx_intr_disable(queue.device, queue.queue);
  }
  wake_event_.epdata.event = EPOLLIN;
  return rte_epoll_ctl(RTE_EPOLL_PER_THREAD, EPOLL_CTL_ADD, wake_.fd(), &wake_event_) == 0;
}

void Sleeper::Attach() {
  // The kernel may end a sleep up to 50 us late unless told otherwise, which is more than the shortest nap.
  prctl(PR_SET_TIMERSLACK, 1UL);
  if (!try_interrupts_ || queues_.empty()) return;
  attached_ = AttachAll();
  if (!attached_) DetachAll();
}

void Sleeper::DetachAll() {
  // No more than that: where a card has one interrupt for all queues, the rest is another worker's.
  for (; tied_ > 0; --tied_) {
    const PortQueue& queue = queues_[tied_ - 1];
    rte_eth_dev_rx_intr_ctl_q(queue.device, queue.queue, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_DEL, nullptr);
  }
}

void Sleeper::Detach() {
  if (!attached_) return;
  DetachAll();
  rte_epoll_ctl(RTE_EPOLL_PER_THREAD, EPOLL_CTL_DEL, wake_.fd(), &wake_event_);
  attached_ = false;
}

void Sleeper::Arm() {
  if (!attached_) return;
  for (const PortQueue& queue : queues_) rte_eth_dev_rx_intr_enable(queue.device, queue.queue);
}

void Sleeper::Disarm() {
  if (!attached_) return;
  for (const PortQueue& queue : queues_) rte_eth_dev_rx_intr_disable(queue.device, queue.queue);
}

void Sleeper::Sleep(uint64_t ns) {
  if (!attached_) {
    const timespec nap = {.tv_sec = static_cast<time_t>(ns / kNsPerSecond),
                          .tv_nsec = static_cast<long>(ns % kNsPerSecond)};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, nullptr);
    return;
  }
  std::array<rte_epoll_event, 8> events{};
  const int timeout_ms = static_cast<int>((ns + kNsPerMs - 1) / kNsPerMs);
  rte_epoll_wait(RTE_EPOLL_PER_THREAD, events.data(), static_cast<int>(events.size()), timeout_ms);
  wake_.Clear();
}

}  // namespace sluice::runtime
