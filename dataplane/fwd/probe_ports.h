#ifndef SLUICE_DATAPLANE_FWD_PROBE_PORTS_H_
#define SLUICE_DATAPLANE_FWD_PROBE_PORTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"

namespace sluice::fwd {

// Where a health check's packets go: to one backend, as packets of a VIP would.
struct ProbeTarget {
  BackendId backend;
  BackendGeneration generation = 0;
  VipId vip;
  friend bool operator==(const ProbeTarget&, const ProbeTarget&) = default;
};

// The source ports that the host's health checks use, each with its target. Not a part of the ForwardingState, because
// ports change hands with every probe; each is one word, which is read as a whole, and what it names is compared with
// the state in use. One thread writes, workers read, for packets of the host only.
class ProbePorts {
 public:
  // Both ends included, host byte order. `last` below `first`: no ports.
  ProbePorts(uint16_t first, uint16_t last)
      : first_(first),
        count_(last < first ? 0 : size_t{last} - first + 1),
        words_(std::make_unique<std::atomic<uint64_t>[]>(count_)) {}

  // Packets that leave `port` from now on go there.
  void Register(uint16_t port, const ProbeTarget& target) {
    At(port).store(
        kValid | uint64_t{target.vip.value()} << 32 | uint64_t{target.generation} << 16 | target.backend.value(),
        std::memory_order_relaxed);
  }
  // They are the host's own.
  void Clear(uint16_t port) { At(port).store(0, std::memory_order_relaxed); }

  std::optional<ProbeTarget> Find(Be16 source_port) const {
    const size_t index = size_t{source_port.Host()} - first_;
    if (index >= count_) return std::nullopt;
    const uint64_t word = words_[index].load(std::memory_order_relaxed);
    if ((word & kValid) == 0) return std::nullopt;
    return ProbeTarget{.backend = BackendId(static_cast<uint16_t>(word)),
                       .generation = static_cast<BackendGeneration>(word >> 16),
                       .vip = VipId(static_cast<uint16_t>(word >> 32))};
  }

  uint16_t first() const { return first_; }
  size_t count() const { return count_; }

 private:
  static constexpr uint64_t kValid = uint64_t{1} << 63;
  std::atomic<uint64_t>& At(uint16_t port) { return words_[size_t{port} - first_]; }

  const uint16_t first_;
  const size_t count_;
  const std::unique_ptr<std::atomic<uint64_t>[]> words_;
};

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_PROBE_PORTS_H_
