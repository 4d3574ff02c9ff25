#ifndef SLUICE_DATAPLANE_FWD_UNRESOLVED_CLIENTS_H_
#define SLUICE_DATAPLANE_FWD_UNRESOLVED_CLIENTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.h"
#include "dataplane/net/address.h"

namespace sluice::fwd {

// A worker's word to the control plane that stations on link are wanted whose MAC addresses nobody knows. A small ring
// with one writer (the worker) and one reader; what does not fit is forgotten, because the next packet says it again.
class UnresolvedClients {
 public:
  struct Client {
    PortId port;
    net::IpAddress address;
  };
  static constexpr size_t kSize = 64;

  // The worker. `address`: 4 or 16 bytes, network byte order. A packet for the station that was named last is not worth
  // another entry while that waits.
  void Report(PortId port, net::Family family, const uint8_t* address) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    const uint32_t waiting = head - tail_.load(std::memory_order_acquire);
    if (waiting >= kSize) return;
    const net::IpAddress wanted = net::IpAddress::FromBytes(family, address);
    const Client& last = ring_[(head - 1) % kSize];
    if (waiting > 0 && last.port == port && last.address == wanted) return;
    ring_[head % kSize] = {port, wanted};
    head_.store(head + 1, std::memory_order_release);
  }

  // The reader: takes all that wait, by `take(client)`.
  template <typename Take>
  void TakeAll(Take take) {
    uint32_t tail = tail_.load(std::memory_order_relaxed);
    const uint32_t head = head_.load(std::memory_order_acquire);
    for (; tail != head; ++tail) take(ring_[tail % kSize]);
    tail_.store(tail, std::memory_order_release);
  }

 private:
  std::array<Client, kSize> ring_;
  alignas(64) std::atomic<uint32_t> head_ = 0;  // next to be written
  alignas(64) std::atomic<uint32_t> tail_ = 0;  // next to be read
};

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_UNRESOLVED_CLIENTS_H_
